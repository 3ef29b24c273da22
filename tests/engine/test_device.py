"""A device that is not there is refused with the reason."""

from __future__ import annotations

import pytest
import torch

from mistral_cli.engine.device import choose_device
from mistral_cli.errors import UsageError


def have(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    """Let torch see so many devices."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize("asked", [None, "auto"])
@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_the_fastest_kind_there_is_taken(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, cuda: int, mps: bool, chosen: str
) -> None:
    have(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device(asked) == torch.device(chosen)


def test_a_device_that_is_there_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, cuda=2)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("cuda") == torch.device("cuda")


def test_a_gpu_beyond_those_there_are_is_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, cuda=2)
    with pytest.raises(UsageError, match="--device cuda:9 cannot be used: there are 2") as caught:
        choose_device("cuda:9")
    assert caught.value.exit_code == 2


def test_a_torch_without_gpus_is_given_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UsageError, match="installed without support for GPUs"):
        choose_device("cuda:9")


def test_a_missing_driver_is_given_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(UsageError, match="no GPU was found"):
        choose_device("cuda")


def test_mps_elsewhere_than_on_a_mac_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch)
    with pytest.raises(UsageError, match="no Apple GPU"):
        choose_device("mps")


@pytest.mark.parametrize("asked", ["gpu", "", "cuda:x", "meta", "cpu:3", "cuda:-1", "\x1b[2J"])
def test_a_name_that_is_no_device_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"--device|cannot"):
        choose_device(asked)

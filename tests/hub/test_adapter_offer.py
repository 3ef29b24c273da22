"""An adapter of the hub that is not here is offered for download, as models are; nobody asked, it is only named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

from hub.hub_client import WEIGHTS, a_repo, environment, mistral
from hub.stand_in_hub import Repo, StandInHub
from lora_files import write_adapter
from mistral_cli.errors import ModelNotFoundError
from mistral_cli.weights.adapters.places import adapter_folder
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADAPTER = {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS}


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub(repos={"owner/adapter": Repo(ADAPTER), "owner/model": a_repo()}) as stand_in:
        yield stand_in


@pytest.mark.pty
def test_a_chat_fetches_one_that_it_is_asked_for_and_goes_on_where_nobody_wants_that(
    hub: StandInHub, tmp_path: Path
) -> None:
    """One program for all: it takes seconds to begin."""
    (tmp_path / "model").mkdir()
    model = write_tiny_model(tmp_path / "model")
    mine = write_adapter(tmp_path / "mine", read_args(find_files(model).config))
    hub.repos["owner/mine"] = Repo({file.name: file.read_bytes() for file in mine.iterdir()})
    command = ["-m", "mistral_cli", "chat", "-m", str(model), "--adapter", "owner/mine", "--device", "cpu"]
    env = environment(hub, TERM="xterm")
    child = pexpect.spawn(sys.executable, command, env=env, encoding="utf-8", timeout=120, dimensions=(24, 200))
    child.expect("The adapter owner/mine is not on this disk")
    child.expect(r"Download it now\? \[y/N\] ")
    child.send("y\r")
    child.expect("with mine")
    child.send("/adapter load owner/adapter\r")
    child.expect("The adapter owner/adapter is not on this disk")
    child.expect(r"Download it now\? \[y/N\] ")
    child.send("n\r")
    child.expect("owner/adapter was not downloaded")
    child.send("/adapter load owner/model\r")
    child.expect("owner/model holds a model, but no adapter")
    child.send("/exit\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert adapter_folder("owner/mine").is_dir()
    with pytest.raises(ModelNotFoundError):
        adapter_folder("owner/adapter")


def test_without_a_terminal_it_is_named_with_the_command_and_no_network(hub: StandInHub, tmp_path: Path) -> None:
    run = mistral(hub, "merge", "builtin", "owner/adapter", "-o", str(tmp_path / "merged"))
    assert (run.returncode, run.stdout) == (3, "")
    assert "mistral pull owner/adapter" in " ".join(run.stderr.split())
    assert not hub.requests


def test_one_of_which_a_part_is_here_says_what_is_missing(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/adapter", "--yes").returncode == 0
    (adapter_folder("owner/adapter") / "adapter_model.safetensors").unlink()
    with pytest.raises(
        ModelNotFoundError, match=r"a part of the adapter .* lacks adapter_model\.safetensors"
    ) as caught:
        adapter_folder("owner/adapter")
    assert "mistral pull owner/adapter" in caught.value.hint

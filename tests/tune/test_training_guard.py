"""A training that would learn nothing, or nonsense, ends instead and says where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from trainings import Noted, make_job, never, write_small_model

from mistral_cli.errors import MistralError
from mistral_cli.tune.train import train
from mistral_cli.tune.training import guard

if TYPE_CHECKING:
    from pathlib import Path


class Adapted(nn.Module):
    """Two matrices that are trained and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.ModuleDict({"lora_A": nn.Linear(2, 2, bias=False), "lora_B": nn.Linear(2, 2, bias=False)})
        self.base = nn.Linear(2, 2)
        self.base.requires_grad_(requires_grad=False)
        for _, weight in guard.trained(self):
            weight.grad = torch.zeros_like(weight)


def test_gradients_that_say_something_pass() -> None:
    model = Adapted()
    model.q_proj["lora_B"].weight.grad += 1  # that of the other is zero until this one is not
    guard.check_gradients(model, 1, None)


def test_a_gradient_that_is_missing_ends_the_training() -> None:
    model = Adapted()
    model.q_proj["lora_B"].weight.grad = None
    with pytest.raises(MistralError, match="No gradient reaches q_proj in step 3; no checkpoint was written yet"):
        guard.check_gradients(model, 3, None)


def test_gradients_that_are_all_zero_end_the_training(tmp_path: Path) -> None:
    with pytest.raises(MistralError, match=f"All gradients are zero in step 3.*last checkpoint is {tmp_path}"):
        guard.check_gradients(Adapted(), 3, tmp_path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_gradient_that_is_no_number_ends_the_training(value: float) -> None:
    model = Adapted()
    model.q_proj["lora_A"].weight.grad[0, 0] = value
    with pytest.raises(MistralError, match=f"The gradient of q_proj is {value} in step 3"):
        guard.check_gradients(model, 3, None)


def test_a_loss_that_is_no_number_ends_the_training_before_it_is_learnt(tmp_path: Path) -> None:
    model = write_small_model(tmp_path / "small")
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"][0] = torch.nan
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    watcher = Noted()
    with pytest.raises(MistralError, match="The loss of step 1 is nan") as caught:
        train(make_job(model, tmp_path / "adapter"), watcher, never)
    assert "Lower --lr" in caught.value.hint
    assert watcher.steps == []
    assert not (tmp_path / "adapter" / "adapter_config.json").exists()


def test_weights_that_are_no_numbers_are_not_saved() -> None:
    model = Adapted()
    model.q_proj["lora_B"].weight.data[0, 0] = torch.nan
    with pytest.raises(MistralError, match="q_proj holds no numbers any more after step 4"):
        guard.check_weights(model, 4, None)


def test_a_layer_that_was_packed_for_answering_ends_the_training() -> None:
    model = Adapted()
    model.base.weight.quant_state = type("State", (), {"packing_format_for_cpu": True})()
    with pytest.raises(MistralError, match="base was packed for answering before step 2"):
        guard.check_unpacked(model, 2, None)

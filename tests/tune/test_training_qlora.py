"""Training on 4-bit weights of bitsandbytes, on the CPU: what is asked in between takes no gradient away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from trainings import RECIPE, Noted, make_job, make_rows, never, write_small_model

from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.errors import MistralError
from mistral_cli.tune.train import train
from mistral_cli.tune.training import guard
from mistral_cli.tune.training.base import load_base, put_adapter
from mistral_cli.tune.training.collate import collate
from mistral_cli.tune.training.evaluation import evaluate

if TYPE_CHECKING:
    from pathlib import Path

QLORA = RECIPE.with_values({"quantize": "nf4", "targets": "all-linear"})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def model(small: Path) -> Any:
    torch.manual_seed(5)
    with quiet():
        wrapped = put_adapter(load_base(small, QLORA, torch.device("cpu")), QLORA, "small")
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return wrapped.train()


def gradients(model: Any) -> dict[str, torch.Tensor]:
    inputs = collate([(row,) for row in make_rows(3)])
    del inputs["tokens"]
    model.zero_grad()
    model(**inputs, num_items_in_batch=1).loss.backward()
    return {name: weight.grad for name, weight in guard.trained(model)}


def test_the_base_is_held_in_4_bits_and_the_adapter_in_float32(model: Any) -> None:
    from bitsandbytes.nn import Linear4bit

    linears = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(linears) == 2 * 7
    assert all(module.weight.quant_state.nested and module.quant_state.quant_type == "nf4" for module in linears)
    assert {weight.dtype for _, weight in guard.trained(model)} == {torch.float32}


def made_by_bitsandbytes(folder: Path) -> Any:
    """Return the model as transformers quantizes it."""
    from mistral_cli.backends import hf_model
    from mistral_cli.backends.hf_plan import Placement

    placement, config = Placement(device_map={"": "cpu"}, max_memory=None, context=0), hf_model.read_config(folder)
    with quiet():
        return hf_model.load_model(folder, config, dtype=torch.bfloat16, placement=placement, quantize="nf4")


def test_what_our_kernel_makes_of_a_base_is_what_bitsandbytes_makes(small: Path) -> None:
    with quiet():
        ours = load_base(small, QLORA, torch.device("cpu"))
    theirs = made_by_bitsandbytes(small)
    weights = dict(theirs.named_parameters())
    assert {name for name, _ in ours.named_parameters()} == weights.keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in ours.named_parameters())
    ids = torch.arange(3, 40)[None]
    assert torch.equal(ours.train()(ids).logits, theirs.train()(ids).logits)


def test_gradients_after_an_evaluation_are_those_of_a_model_that_was_never_asked(model: Any) -> None:
    before, modes = gradients(model), [module.training for module in model.modules()]
    evaluation = evaluate(model, [(row,) for row in make_rows(4, seed=3)], batch=2, step=0)
    assert evaluation.loss > 0
    assert [module.training for module in model.modules()] == modes
    guard.check_unpacked(model, 2, None)
    after = gradients(model)
    assert all(torch.equal(after[name], gradient) for name, gradient in before.items())


def test_a_training_that_asks_learns_what_one_learns_that_never_asks(small: Path, tmp_path: Path) -> None:
    asking, silent = Noted(), Noted()
    recipe = {"quantize": "nf4", "targets": "all-linear"}
    outcome = train(make_job(small, tmp_path / "asking", apart=4, **recipe), asking, never)
    train(make_job(small, tmp_path / "silent", **recipe), silent, never)
    assert asking.losses == silent.losses
    assert [step.gradient_norm for step in asking.steps] == [step.gradient_norm for step in silent.steps]
    assert outcome.after.loss != outcome.before.loss


def test_a_folder_that_bitsandbytes_quantized_is_trained_on_as_it_is(small: Path, tmp_path: Path) -> None:
    with quiet():
        made_by_bitsandbytes(small).save_pretrained(tmp_path / "quantized")
    fresh, taken = Noted(), Noted()
    train(make_job(small, tmp_path / "fresh", quantize="nf4"), fresh, never)
    train(make_job(tmp_path / "quantized", tmp_path / "taken"), taken, never)
    assert taken.losses == pytest.approx(fresh.losses, abs=1e-6)


def test_a_model_that_was_asked_in_another_way_is_not_trained_on_by_mistake(model: Any) -> None:
    """Where the processor has what bitsandbytes packs for; elsewhere there is nothing to find."""
    from bitsandbytes.nn.modules import has_avx512bf16

    model.eval()
    inputs = collate([(row,) for row in make_rows(2)])
    with torch.no_grad():
        model(input_ids=inputs["input_ids"])
    if has_avx512bf16():
        with pytest.raises(MistralError, match="was packed for answering before step 2"):
            guard.check_unpacked(model, 2, None)
    else:
        guard.check_unpacked(model, 2, None)

"""A training that goes on from an adapter: it begins with what that one answers, keeps its shape, and peft agrees."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainings import RECIPE, Noted, make_job, never, write_small_model

from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.model.args import MoeArgs
from mistral_cli.tune.train import train
from mistral_cli.tune.training.base import load_base
from mistral_cli.tune.training.evaluation import evaluate
from mistral_cli.weights.adapters.files import find_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.tune.events import Job

CPU = torch.device("cpu")
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ["q_proj", "v_proj"]},
    "rslora": {"target_modules": ["q_proj", "v_proj"], "use_rslora": True},
    "patterns": {
        "target_modules": ["k_proj", "o_proj", "down_proj"],
        "rank_pattern": {"k_proj": 2},
        "alpha_pattern": {"layers.1.self_attn.o_proj": 3},
        "exclude_modules": ["model.layers.0.mlp.down_proj"],
    },
    "expression": {"target_modules": r".*\.1\.self_attn\.(q|k)_proj"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


def write_peft(folder: Path, model: Path, **shape: object) -> Path:
    """Write an adapter that already does something, by peft."""
    from peft import LoraConfig, get_peft_model

    with quiet():
        wrapped = get_peft_model(load_base(model, RECIPE, CPU), LoraConfig(r=4, lora_alpha=6, **shape))
    generator = torch.Generator().manual_seed(5)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    wrapped.save_pretrained(folder)
    return folder


def loss_by_peft(model: Path, adapter: Path, job: Job) -> float:
    from peft import PeftModel

    with quiet():
        wrapped = PeftModel.from_pretrained(load_base(model, job.recipe, CPU), adapter)
    return evaluate(wrapped, [(sample,) for sample in job.apart], batch=2, step=0).loss


@pytest.mark.parametrize("shape", SHAPES)
def test_it_begins_and_ends_as_peft_has_it(model: Path, tmp_path: Path, shape: str) -> None:
    begun = write_peft(tmp_path / "begun", model, **SHAPES[shape])
    kept = {file.name: file.read_bytes() for file in begun.iterdir()}
    job = replace(make_job(model, tmp_path / "more", apart=4, targets="all-linear"), adapter=begun)
    watcher = Noted()
    outcome = train(job, watcher, never)
    assert outcome.before.loss == pytest.approx(loss_by_peft(model, begun, job), rel=1e-5)
    assert outcome.after.loss == pytest.approx(loss_by_peft(model, job.folder, job), rel=1e-5)
    assert outcome.after.loss != outcome.before.loss
    assert {file.name: file.read_bytes() for file in begun.iterdir()} == kept
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (begun, job.folder))
    assert {name: tensor.shape for name, tensor in before.items()} == {name: one.shape for name, one in after.items()}
    assert not any(torch.equal(tensor, after[name]) for name, tensor in before.items())
    old, new = (find_adapter(folder).config for folder in (begun, job.folder))
    assert replace(new, base=old.base) == old


def test_on_a_base_in_four_bits_it_begins_and_ends_so_too(model: Path, tmp_path: Path) -> None:
    begun = write_peft(tmp_path / "begun", model, **SHAPES["plain"])
    job = replace(make_job(model, tmp_path / "more", apart=4, quantize="nf4"), adapter=begun)
    outcome = train(job, Noted(), never)
    assert outcome.before.loss == pytest.approx(loss_by_peft(model, begun, job), rel=1e-5)
    assert outcome.after.loss == pytest.approx(loss_by_peft(model, job.folder, job), rel=1e-5)
    assert outcome.after.loss != outcome.before.loss


def test_interrupted_it_goes_on_with_the_same_numbers(model: Path, tmp_path: Path) -> None:
    begun = write_peft(tmp_path / "begun", model, **SHAPES["rslora"])
    whole, stopped, after = Noted(), Noted(), Noted()
    train(replace(make_job(model, tmp_path / "whole", apart=2), adapter=begun), whole, never)
    job = replace(make_job(model, tmp_path / "stopped", apart=2), adapter=begun)
    train(job, stopped, lambda: len(stopped.steps) == 3)
    train(replace(job, resume=True), after, never)
    assert [step.step for step in after.steps] == [4, 5, 6]
    assert stopped.losses + after.losses == pytest.approx(whole.losses, abs=1e-6)


def test_one_that_holds_no_numbers_is_refused_before_the_model_is_read(model: Path, tmp_path: Path) -> None:
    begun = write_peft(tmp_path / "begun", model, **SHAPES["plain"])
    file = begun / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors[next(iter(tensors))][0, 0] = torch.nan
    save_file(tensors, file)
    watcher = Noted()
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        train(replace(make_job(model, tmp_path / "more", apart=2), adapter=begun), watcher, never)
    assert (watcher.evaluations, watcher.asked) == ([], [])


def test_the_dropout_is_the_recipes(model: Path, tmp_path: Path) -> None:
    begun = write_peft(tmp_path / "begun", model, lora_dropout=0.5, **SHAPES["plain"])
    job = replace(make_job(model, tmp_path / "more", dropout=0.25, steps=1), adapter=begun)
    train(job, Noted(), never)
    assert json.loads((job.folder / "adapter_config.json").read_text())["lora_dropout"] == 0.25


def test_an_adapter_on_experts_is_refused_by_name(tmp_path: Path) -> None:
    """They are one tensor in transformers: what learns there would not be what was loaded."""
    moe = MoeArgs(num_experts=4, num_experts_per_tok=2)
    base, begun = write_small_model(tmp_path / "base", moe=moe), tmp_path / "begun"
    stem = "base_model.model.model.layers.0.block_sparse_moe.experts.0.w1"
    begun.mkdir()
    pair = {f"{stem}.lora_A.weight": torch.ones(4, 64), f"{stem}.lora_B.weight": torch.ones(128, 4)}
    save_file(pair, begun / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["w1"]}
    (begun / "adapter_config.json").write_text(json.dumps(said))
    with pytest.raises(UsageError, match=r"adapts model\.layers\.0\.block_sparse_moe\.experts\.0\.w1"):
        train(replace(make_job(base, tmp_path / "more"), adapter=begun), Noted(), never)

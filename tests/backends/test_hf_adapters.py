"""Adapters on transformers' models: as on our own engine, for other architectures too, and off without a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from foreign_checkpoint import write_foreign
from lora_files import write_adapter
from mistral_cli.adapting import AdapterChoice
from mistral_cli.backends.choice import HF, load_backend
from mistral_cli.backends.hf import HfBackend, load_hf
from mistral_cli.backends.native import load_native
from mistral_cli.contract import Done, SamplingParams
from mistral_cli.errors import CheckpointError, UsageError
from tiny_checkpoint import tiny_args, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "v1.5", tiny_args())


def answer(backend: object) -> tuple[int, ...]:
    *_, done = backend.stream("hello", SamplingParams(temperature=0, max_tokens=12))
    assert isinstance(done, Done)
    return done.ids


def logits(backend: HfBackend) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = backend.engine.model(torch.arange(2, 30)[None]).logits
    return found


def test_an_answer_is_that_of_our_own_engine_with_the_same_adapters(model: Path, adapter: Path, tmp_path: Path) -> None:
    other = write_adapter(tmp_path / "other", tiny_args())
    ours, theirs = load_native(model, name="tiny", device="cpu"), load_hf(model, name="tiny", device="cpu")
    bare = answer(theirs)
    for backend in (ours, theirs):
        backend.adapters.load(adapter, 2)
        backend.adapters.load(other, 3)
        backend.adapters.scale("other", -1)
    assert theirs.info.adapters == ours.info.adapters
    assert answer(theirs) == answer(ours) != bare
    for backend in (ours, theirs):
        backend.adapters.off("v1.5")
    assert answer(theirs) == answer(ours)


def test_a_model_whose_adapters_are_off_is_the_one_it_was(model: Path, adapter: Path) -> None:
    backend = load_hf(model, name="tiny", device="cpu")
    before, modules = logits(backend), dict(backend.engine.model.named_modules())
    backend.adapters.load(adapter)
    assert not torch.equal(logits(backend), before)
    backend.adapters.off()
    assert torch.equal(logits(backend), before)
    assert dict(backend.engine.model.named_modules()) == modules
    assert backend.info.adapters == ()


def test_an_adapter_for_another_model_leaves_the_model_and_its_adapters_alone(
    model: Path, adapter: Path, tmp_path: Path
) -> None:
    backend = load_hf(model, name="tiny", device="cpu")
    backend.adapters.load(adapter)
    before = logits(backend)
    wrong = write_adapter(tmp_path / "wrong", replace(tiny_args(), hidden_dim=48))
    with pytest.raises(CheckpointError, match="is for another model"):
        backend.adapters.load(wrong)
    assert [one.name for one in backend.adapters.attached] == ["v1.5"]
    assert torch.equal(logits(backend), before)


def test_one_that_is_named_with_the_model_is_on_it_from_the_first_answer_on(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    folder = write_foreign(tmp_path / "llama", "llama")
    weights = load_hf(folder, name="llama", device="cpu").engine.model
    rows = {name: module for name, module in weights.named_modules() if name.endswith("q_proj")}
    adapter = _for_layers(tmp_path / "adapter", rows)
    backend = opened(folder, tmp_path, AdapterChoice(path=str(adapter), strength=0.5))
    assert [one.label for one in backend.info.adapters] == ["adapter × 0.5"]
    with pytest.raises(UsageError, match="is named twice"):
        opened(folder, tmp_path, AdapterChoice(path=str(adapter)), AdapterChoice(path=str(adapter)))


def opened(folder: Path, offload: Path, *adapters: AdapterChoice) -> HfBackend:
    unset = dict.fromkeys(("dtype", "context", "template", "quantize"))
    options = {"name": "llama", "device": "cpu", "kv": "none", "offload": offload, "adapters": adapters}
    return load_backend(HF, folder, **unset, **options)


def _for_layers(folder: Path, layers: dict[str, torch.nn.Module]) -> Path:
    """Write an adapter for these linear layers."""
    from safetensors.torch import save_file

    folder.mkdir()
    tensors = {}
    for name, layer in layers.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.ones(2, layer.in_features)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.ones(layer.out_features, 2)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}'
    )
    return folder

"""Adapters on transformers' models: as on our own engine, for other architectures too, and off without a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from foreign_checkpoint import write_foreign
from lora_files import write_adapter
from mistral_cli.adapting import AdapterChoice
from mistral_cli.backends.choice import HF, load_backend
from mistral_cli.backends.hf import HfBackend, load_hf
from mistral_cli.backends.native import load_native
from mistral_cli.contract import Done, SamplingParams
from mistral_cli.errors import CheckpointError, OutOfMemoryError, UsageError
from mistral_cli.model.args import MoeArgs
from tiny_checkpoint import tiny_args, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs


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


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelArgs]:
    args = replace(tiny_args(), moe=MoeArgs(num_experts=3, num_experts_per_tok=2))
    return write_checkpoint(tmp_path_factory.mktemp("mixtral"), args=args), args


def test_patterns_and_rslora_on_mixtrals_attention_are_those_of_our_own_engine(
    mixtral: tuple[Path, ModelArgs], tmp_path: Path
) -> None:
    folder, args = mixtral
    patterns = {"alpha_pattern": {"1.self_attn.q_proj": 90}, "use_rslora": True}
    adapter = changed(write_adapter(tmp_path / "adapter", args), target_modules=["q_proj", "v_proj"], **patterns)
    ours, theirs = load_native(folder, name="tiny", device="cpu"), load_hf(folder, name="tiny", device="cpu")
    bare = logits(theirs)
    for backend in (ours, theirs):
        backend.adapters.load(adapter, 0.5)
    with torch.no_grad():
        wanted = ours.engine.model(torch.arange(2, 30)[None])[0]
    torch.testing.assert_close(logits(theirs), wanted, rtol=0, atol=1e-5)
    assert (wanted - bare).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["block_sparse_moe.experts.1.w1", "mlp.experts", "block_sparse_moe.gate", "mlp.gate"])
def test_experts_and_the_router_are_refused_by_name(name: str, mixtral: tuple[Path, ModelArgs], tmp_path: Path) -> None:
    folder, _ = mixtral
    backend = load_hf(folder, name="tiny", device="cpu")
    module = f"model.layers.1.{name}"
    adapter = _for_layers(tmp_path / "adapter", {module: torch.nn.Linear(8, 8)}, target_modules=[module])
    with pytest.raises(CheckpointError, match=rf"adapts {module}, which is no linear layer") as caught:
        backend.adapters.load(adapter)
    assert "--backend native" in caught.value.hint
    assert backend.adapters.attached == ()


def test_matrices_that_peft_would_pass_over_are_put_on(model: Path, adapter: Path) -> None:
    backend = load_hf(model, name="tiny", device="cpu")
    backend.adapters.load(adapter)
    wanted = logits(backend)
    backend.adapters.off()
    weights = load_file(adapter / "adapter_model.safetensors")
    bare_names = {name.removeprefix("base_model.model."): matrix for name, matrix in weights.items()}
    save_file(bare_names, adapter / "adapter_model.safetensors")
    backend.adapters.load(adapter)
    assert torch.equal(logits(backend), wanted)


def test_what_a_config_says_beside_its_shape_does_not_reach_peft(model: Path, adapter: Path) -> None:
    backend = load_hf(model, name="tiny", device="cpu")
    backend.adapters.load(adapter)
    wanted = logits(backend)
    backend.adapters.off()
    odd = {"task_type": "SEQ_CLS", "auto_mapping": {"parent_library": "os"}, "revision": 7, "peft_version": []}
    backend.adapters.load(changed(adapter, **odd))
    assert torch.equal(logits(backend), wanted)


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


def test_room_is_left_for_adapters_that_come_with_the_model(model: Path) -> None:
    with pytest.raises(OutOfMemoryError, match=r"\(4,000,00\d,\d{3},\d{3} for its weights"):
        load_hf(model, name="tiny", device="cpu", adapter_parameters=10**12)


def opened(folder: Path, offload: Path, *adapters: AdapterChoice) -> HfBackend:
    unset = dict.fromkeys(("dtype", "context", "template", "quantize"))
    options = {"name": "llama", "device": "cpu", "kv": "none", "offload": offload, "adapters": adapters}
    return load_backend(HF, folder, **unset, **options)


def changed(folder: Path, **config: object) -> Path:
    """Change what an adapter says of itself, and drop the matrices of what it does not name any more."""
    path, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    said = {**json.loads(path.read_text()), **config}
    path.write_text(json.dumps(said))
    kept = {
        name: matrix
        for name, matrix in load_file(weights).items()
        if name.split(".lora_")[0].endswith(tuple(said["target_modules"]))
    }
    save_file(kept, weights)
    return folder


def _for_layers(folder: Path, layers: dict[str, torch.nn.Module], target_modules: Sequence[str] = ("q_proj",)) -> Path:
    """Write an adapter for these linear layers."""
    folder.mkdir()
    tensors = {}
    for name, layer in layers.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.ones(2, layer.in_features)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.ones(layer.out_features, 2)
    save_file(tensors, folder / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": list(target_modules)}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder

"""Adapters: peft is the oracle, in float64; what is not plain LoRA, or not whole, or not for this model, is refused."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from mistral_cli.errors import CheckpointError, MistralError, ModelNotFoundError, UsageError
from mistral_cli.weights.adapters.attached import Adapters
from mistral_cli.weights.adapters.files import find_adapter
from mistral_cli.weights.adapters.linear import LoraLinear
from mistral_cli.weights.adapters.pairs import read_pairs
from oracle import SHAPES, models, tokens

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from mistral_cli.model.transformer import Mistral

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
    "rslora": {"r": 9, "lora_alpha": 5, "use_rslora": True, "target_modules": ATTENTION},
    "expression": {"r": 4, "lora_alpha": 8, "target_modules": r".*\.1\.self_attn\.(q|o)_proj"},
    "one layer": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION, "layers_to_transform": [1]},
    "without": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION, "exclude_modules": ["layers.0.self_attn.q_proj"]},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ATTENTION,
        "rank_pattern": {"q_proj": 2, r".*\.1\.self_attn\.o_proj": 7},
        "alpha_pattern": {"layers.0.self_attn.v_proj": 3, "k_proj": 20},
    },
}
EVERYTHING: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
"""Not for Mixtral: transformers holds its experts' matrices in one tensor, which no linear layer is."""


def written(theirs: nn.Module, folder: Path, seed: int = 5, **config: Any) -> Path:
    """Write an adapter of random numbers, as peft saves it, for transformers' model ``theirs``; that stays bare."""
    wrapped = get_peft_model(theirs, LoraConfig(task_type="CAUSAL_LM", **config))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.3)
    wrapped.save_pretrained(folder)
    wrapped.unload()
    return folder


def expected(theirs: nn.Module, folder: Path, ids: Tensor) -> Tensor:
    """Return the logits of peft's model."""
    wrapped = PeftModel.from_pretrained(theirs, folder, autocast_adapter_dtype=False).double().eval()
    with torch.no_grad():
        logits: Tensor = wrapped(ids).logits
    wrapped.unload()
    return logits


def logits_of(model: Mistral, ids: Tensor) -> Tensor:
    with torch.no_grad():
        return model(ids)[0]


@pytest.fixture
def adapter(tmp_path: Path) -> tuple[Mistral, Path]:
    """Return a tiny model and an adapter for it."""
    ours, theirs = models(SHAPES["mistral"])
    return ours, written(theirs, tmp_path / "adapter", **KINDS["plain"])


@pytest.mark.parametrize(
    ("shape", "kind"),
    [(shape, kind) for shape in ("mistral", "mixtral") for kind in KINDS]
    + [("nemo-like", "plain"), ("windowed", "patterns"), ("tied", "rslora")]
    + [(shape, "everything") for shape in ("mistral", "tied")],
)
def test_logits_with_an_adapter_are_pefts(shape: str, kind: str, tmp_path: Path) -> None:
    ours, theirs = models(SHAPES[shape])
    ids, bare = tokens(), logits_of(ours, tokens())
    folder = written(theirs, tmp_path / "adapter", **(KINDS | {"everything": EVERYTHING})[kind])
    Adapters(ours).load(folder)
    got = logits_of(ours, ids)
    torch.testing.assert_close(got, expected(theirs, folder, ids), rtol=0, atol=1e-8)
    assert (got - bare).abs().max() > 1e-2


@pytest.mark.parametrize("shape", ["mistral", "mixtral"])
def test_two_adapters_add_up_as_in_peft(shape: str, tmp_path: Path) -> None:
    ours, theirs = models(SHAPES[shape])
    one = written(theirs, tmp_path / "one", **KINDS["plain"])
    two = written(theirs, tmp_path / "two", seed=6, **KINDS["patterns"])
    adapters = Adapters(ours)
    adapters.load(one)
    adapters.load(two)
    wrapped = PeftModel.from_pretrained(theirs, one, adapter_name="one", autocast_adapter_dtype=False)
    wrapped.load_adapter(two, adapter_name="two", autocast_adapter_dtype=False)
    wrapped.base_model.set_adapter(["one", "two"])
    with torch.no_grad():
        wanted = wrapped.double().eval()(tokens()).logits
    torch.testing.assert_close(logits_of(ours, tokens()), wanted, rtol=0, atol=1e-8)


def test_a_model_whose_adapters_are_off_is_the_one_it_was(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    before, modules = logits_of(model, tokens()), dict(model.named_modules())
    adapters = Adapters(model)
    adapters.load(folder, name="one")
    adapters.load(folder, 0.5, name="two")
    adapters.off("one")
    adapters.off()
    assert dict(model.named_modules()) == modules
    assert torch.equal(logits_of(model, tokens()), before)


def test_a_scale_multiplies_what_an_adapter_adds(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    bare, adapters = logits_of(model, tokens()), Adapters(model)
    adapters.load(folder, 0.0)
    assert torch.equal(logits_of(model, tokens()), bare)
    adapters.scale("adapter", 2.0)
    twice = logits_of(model, tokens())
    adapters.off()
    adapters.load(folder, 2.0)
    assert torch.equal(logits_of(model, tokens()), twice)
    assert [(one.name, one.strength) for one in adapters.attached] == [("adapter", 2.0)]


def test_loading_an_adapter_again_replaces_it(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    adapters = Adapters(model)
    adapters.load(folder)
    once = logits_of(model, tokens())
    adapters.load(folder)
    assert torch.equal(logits_of(model, tokens()), once)
    assert len(adapters.attached) == 1


def test_parameters_and_bytes_are_counted(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    files = Adapters(model).load(folder).files
    assert files.parameters == sum(
        weight.numel() for weight in load_file(folder / "adapter_model.safetensors").values()
    )
    assert sum(isinstance(module, LoraLinear) for module in model.modules()) == len(files.layers) == 4


def test_experts_of_mixtral_are_adapted_under_their_names_in_files(tmp_path: Path) -> None:
    model, _ = models(SHAPES["mixtral"])
    name, scaling = "model.layers.1.block_sparse_moe.experts.2.w1", 2.0
    weight = model.get_submodule(name).weight
    generator = torch.Generator().manual_seed(3)
    down = torch.randn(4, weight.shape[1], generator=generator, dtype=torch.float64)
    up = torch.randn(weight.shape[0], 4, generator=generator, dtype=torch.float64)
    _write(tmp_path, {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, target_modules=[name])
    adapters = Adapters(model)
    adapters.load(tmp_path)
    adapted = logits_of(model, tokens())
    adapters.off()
    with torch.no_grad():
        weight += scaling * up @ down
    torch.testing.assert_close(adapted, logits_of(model, tokens()), rtol=0, atol=1e-8)


def _write(folder: Path, tensors: dict[str, Tensor], **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(
        {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}, folder / "adapter_model.safetensors"
    )
    said = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, **config}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


def _change(folder: Path, **config: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))


def _refused(model: Mistral, folder: Path, words: str) -> None:
    """Loading ``folder`` fails with ``words``, and leaves the model as it was."""
    before, adapters = logits_of(model, tokens()), Adapters(model)
    with pytest.raises(CheckpointError, match=words) as caught:
        adapters.load(folder)
    assert caught.value.hint
    assert adapters.attached == ()
    assert torch.equal(logits_of(model, tokens()), before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"peft_type": "LOHA"}, "'LOHA'"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"alora_invocation_tokens": [7]}, "alora_invocation_tokens"),
        ({"lora_bias": True}, "lora_bias"),
        ({"something_new": {"on": 1}}, "something_new"),
        ({"init_lora_weights": "pissa"}, "'pissa'"),
        ({"r": 0}, "the rank 'r' is 0"),
        ({"r": 5}, "of rank 4 and 4, but adapter_config.json says 5"),
        ({"lora_alpha": "8"}, "the alpha 'lora_alpha'"),
        ({"target_modules": ["q_proj", "v_proj", "o_proj"]}, r"lacks model\.layers\.0\.self_attn\.o_proj"),
        ({"target_modules": ["q_proj"]}, r"adapts model\.layers\.0\.self_attn\.v_proj.* does not say so"),
        ({"exclude_modules": ["1.self_attn.q_proj"]}, r"adapts model\.layers\.1\.self_attn\.q_proj, but"),
        ({"target_modules": ".*q_proj", "layers_to_transform": [1]}, "layers_to_transform is .*regular expression"),
    ],
)
def test_what_is_not_plain_lora_is_refused_by_name(
    adapter: tuple[Mistral, Path], change: dict[str, Any], words: str
) -> None:
    model, folder = adapter
    _change(folder, **change)
    _refused(model, folder, words)


def test_an_adapter_of_another_model_is_refused_with_both_shapes(adapter: tuple[Mistral, Path], tmp_path: Path) -> None:
    model, _ = adapter
    _, theirs = models(SHAPES["nemo-like"])
    folder = written(theirs, tmp_path / "other", **KINDS["plain"])
    _change(folder, base_model_name_or_path="mistralai/Nemo")
    _refused(model, folder, "q_proj is 96 × 80 there, 64 × 64 here")


def test_experts_as_transformers_fuses_them_are_refused_by_name(tmp_path: Path) -> None:
    model, _ = models(SHAPES["mixtral"])
    name = "model.layers.0.mlp.experts"
    _write(tmp_path, {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(8, 4)})
    _refused(model, tmp_path, r"adapts model\.layers\.0\.mlp\.experts, which this model does not have")


def test_embeddings_are_refused_by_name(adapter: tuple[Mistral, Path], tmp_path: Path) -> None:
    name = "model.embed_tokens.lora_embedding_A"
    _refused(adapter[0], _write(tmp_path / "embedding", {name: torch.ones(4, 101)}), "lora_embedding_A")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(adapter: tuple[Mistral, Path], value: float) -> None:
    model, folder = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = value
    save_file(tensors, folder / "adapter_model.safetensors")
    _refused(model, folder, "NaN or infinity")


def test_half_of_a_pair_is_refused(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    del tensors[next(name for name in tensors if "lora_B" in name)]
    save_file(tensors, folder / "adapter_model.safetensors")
    _refused(model, folder, "one matrix of two")


def test_a_matrix_under_two_names_is_refused(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in tensors if "lora_B" in name)
    save_file(
        {**tensors, name.replace("lora_B", "lora_B.default"): tensors[name].clone()},
        folder / "adapter_model.safetensors",
    )
    _refused(model, folder, "holds the matrix B of .* twice")


def test_a_number_that_the_type_cannot_hold_is_refused(adapter: tuple[Mistral, Path]) -> None:
    _, folder = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = 1e6
    save_file(tensors, folder / "adapter_model.safetensors")
    assert read_pairs(find_adapter(folder), torch.bfloat16, torch.device("cpu"))
    with pytest.raises(CheckpointError, match=r"too large for torch\.float16"):
        read_pairs(find_adapter(folder), torch.float16, torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_model_of_16_bits_an_update_is_computed_in_32_and_rounded_once(
    adapter: tuple[Mistral, Path], dtype: torch.dtype
) -> None:
    model, folder = adapter
    model.to(dtype)
    Adapters(model).load(folder)
    layer = model.get_submodule("model.layers.1.self_attn.q_proj")
    (pair,) = layer.pairs.values()
    x = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(2)).to(dtype)
    update = pair.scaling * (x.double() @ pair.down.double().T @ pair.up.double().T)
    assert pair.down.dtype == pair.up.dtype == torch.float32
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(layer(x), layer.base(x) + update.to(dtype), rtol=eps, atol=eps)
    assert layer(x).dtype == dtype


def test_a_truncated_file_is_refused(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    _refused(model, folder, "adapter_model.safetensors")


def test_a_pickle_is_never_read(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    _refused(model, folder, "pickle")


@pytest.mark.parametrize(("name", "error"), [("nowhere", ModelNotFoundError), (".", CheckpointError)])
def test_a_folder_without_an_adapter_is_refused(
    adapter: tuple[Mistral, Path], tmp_path: Path, name: str, error: type[MistralError]
) -> None:
    with pytest.raises(error):
        Adapters(adapter[0]).load(tmp_path / name)


def test_a_scale_that_is_no_number_is_refused(adapter: tuple[Mistral, Path]) -> None:
    model, folder = adapter
    adapters = Adapters(model)
    with pytest.raises(UsageError, match="nan"):
        adapters.load(folder, math.nan)
    with pytest.raises(UsageError, match="loaded: none"):
        adapters.scale("adapter", 2)

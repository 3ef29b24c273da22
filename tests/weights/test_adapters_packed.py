"""Adapters on layers of packed weights: added in the same call to what our kernel gives, and gone without a trace."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from fused_pairs import PLAIN, SHAPES, TOKENS, error, exact, pair
from torch.utils._python_dispatch import TorchDispatchMode

from lora_files import write_adapter
from mistral_cli.weights.adapters.attached import Adapters
from mistral_cli.weights.adapters.linear import LoraLinear

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.transformer import Mistral

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head")
EXPERTS = ("q_proj", "o_proj", "w1", "w2", "w3")
PRODUCTS = {"linear", "matmul", "mm", "addmm", "bmm"}


class Seen(TorchDispatchMode):
    """Collects the names of torch's operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def products_of_torch(model: Mistral, tokens: Tensor) -> set[str]:
    with Seen() as seen:
        model(tokens)
    return seen.names & PRODUCTS


@torch.inference_mode()
def test_on_packed_layers_it_adds_what_it_adds_to_the_model_itself(tmp_path: Path) -> None:
    model, fused = exact()
    folder, bare = write_adapter(tmp_path / "adapter", PLAIN), fused(TOKENS)[0]
    for one in (model, fused):
        Adapters(one).load(folder)
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < 1e-3
    assert error(fused(TOKENS)[0], bare) > 1e-2


@pytest.mark.parametrize(("shape", "targets"), [("plain", ALL), ("mixtral", EXPERTS)])
@torch.inference_mode()
def test_two_adapters_on_every_layer_add_what_they_add_to_the_model_itself(
    tmp_path: Path, shape: str, targets: tuple[str, ...]
) -> None:
    model, fused = exact(SHAPES[shape])
    first = write_adapter(tmp_path / "first", SHAPES[shape], targets)
    second = write_adapter(tmp_path / "second", SHAPES[shape], targets[:2], seed=4)
    for one in (model, fused):
        adapters = Adapters(one)
        adapters.load(first)
        adapters.load(second, -0.5)
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < 1e-3


@pytest.mark.parametrize("tokens", [TOKENS, TOKENS[:, :1]], ids=["many", "one"])
@torch.inference_mode()
def test_with_adapters_all_products_are_the_librarys(tmp_path: Path, tokens: Tensor) -> None:
    model, fused = pair()
    folder = write_adapter(tmp_path / "adapter", PLAIN, ALL)
    for one in (model, fused):
        Adapters(one).load(folder)
    assert products_of_torch(model, tokens)
    assert not products_of_torch(fused, tokens)


@pytest.mark.parametrize("watched", ["layers.1", "layers.1.mlp", "layers.0.self_attn"])
@torch.inference_mode()
def test_layers_with_adapters_that_are_called_one_by_one_have_the_same_bits(tmp_path: Path, watched: str) -> None:
    _, fused = pair()
    Adapters(fused).load(write_adapter(tmp_path / "adapter", PLAIN, ALL))
    alone, seen = fused(TOKENS)[0], []
    fused.model.get_submodule(watched).register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(fused(TOKENS)[0], alone)
    assert seen == [1]


@torch.inference_mode()
def test_whole_and_in_chunks_the_bits_are_the_same_with_an_adapter(tmp_path: Path) -> None:
    _, fused = pair()
    Adapters(fused).load(write_adapter(tmp_path / "adapter", PLAIN, ALL))
    whole, cache, logits = fused(TOKENS, last_only=True)[0], None, None
    for piece in TOKENS.split([13, 1, 1, 20, 5], 1):
        logits, cache = fused(piece, cache, last_only=True)
    assert torch.equal(logits, whole)


@torch.inference_mode()
def test_off_a_packed_model_is_bit_for_bit_what_it_was(tmp_path: Path) -> None:
    _, fused = pair()
    bare, adapters = fused(TOKENS)[0], Adapters(fused)
    adapters.load(write_adapter(tmp_path / "adapter", PLAIN))
    assert not torch.equal(fused(TOKENS)[0], bare)
    adapters.off()
    assert torch.equal(fused(TOKENS)[0], bare)


@torch.inference_mode()
def test_what_changes_between_two_passes_is_seen(tmp_path: Path) -> None:
    _, fused = pair()
    first = write_adapter(tmp_path / "first", PLAIN)
    second = write_adapter(tmp_path / "second", PLAIN, seed=4)
    adapters, results = Adapters(fused), []
    adapters.load(first, name="it")
    results.append(fused(TOKENS)[0])
    adapters.scale("it", 0.5)
    results.append(fused(TOKENS)[0])
    adapters.load(second, 0.5, name="it")  # others at the same layers, as strong
    results.append(fused(TOKENS)[0])
    for folder, strength, result in zip((first, first, second), (1.0, 0.5, 0.5), results, strict=True):
        _, fresh = pair()
        Adapters(fresh).load(folder, strength)
        assert torch.equal(fresh(TOKENS)[0], result)


@torch.inference_mode()
def test_a_copy_computes_with_adapters_of_its_own(tmp_path: Path) -> None:
    _, fused = pair()
    Adapters(fused).load(write_adapter(tmp_path / "adapter", PLAIN))
    before, other = fused(TOKENS)[0], copy.deepcopy(fused)
    for module in fused.modules():
        for own in module.pairs.values() if isinstance(module, LoraLinear) else ():
            own.up.zero_()
    assert torch.equal(other(TOKENS)[0], before)
    assert not torch.equal(fused(TOKENS)[0], before)


@torch.inference_mode()
def test_matrices_that_the_library_cannot_read_are_added_all_the_same(tmp_path: Path) -> None:
    _, fused = pair()
    Adapters(fused).load(write_adapter(tmp_path / "adapter", PLAIN))
    before = fused(TOKENS)[0]
    for module in fused.modules():
        for name, own in list(module.pairs.items()) if isinstance(module, LoraLinear) else ():
            module.pairs[name] = replace(own, down=own.down.double(), up=own.up.double())
    assert error(fused(TOKENS)[0], before) < 1e-2
    assert products_of_torch(fused, TOKENS)


@pytest.mark.parametrize(("shape", "targets"), [("plain", ALL), ("mixtral", EXPERTS)])
@torch.inference_mode()
def test_rows_do_not_depend_on_their_neighbours_with_an_adapter(
    tmp_path: Path, shape: str, targets: tuple[str, ...]
) -> None:
    _, fused = pair(SHAPES[shape])
    Adapters(fused).load(write_adapter(tmp_path / "adapter", SHAPES[shape], targets))
    rows = TOKENS.view(8, 5)
    together = fused.forward_rows(rows[:, :1], [fused.new_cache(capacity=8) for _ in rows])
    alone = [fused.forward_rows(row[None, :1], [fused.new_cache(capacity=8)]) for row in rows]
    assert torch.equal(together, torch.cat(alone))

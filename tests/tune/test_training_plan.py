"""What a training will take, against what torch keeps and transformers loads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import MistralConfig, MistralForCausalLM

from mistral_cli.backends import hf_model
from mistral_cli.backends.hf_plan import Placement
from mistral_cli.errors import OutOfMemoryError
from mistral_cli.measure.random_model import RandomModel, write_random_model
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.tune.plan import Base, Load, base_bytes, check_memory, plan_memory
from mistral_cli.tune.recipe import LETTERS, Recipe
from mistral_cli.tune.samples import Sample

if TYPE_CHECKING:
    from pathlib import Path

SEVEN = Base(args=ModelArgs.mistral_7b_v03())
STEP = Load(longest=256, learnt=256)
SMALL = ModelArgs(
    dim=64, n_layers=2, head_dim=16, hidden_dim=192, n_heads=4, n_kv_heads=2, vocab_size=512, sliding_window=None
)


def _kept_on_the_way_forward(args: ModelArgs, recipe: Recipe, dtype: torch.dtype) -> int:
    """Return the bytes that torch keeps for the way back of one batch, weights left out."""
    config = MistralConfig(
        hidden_size=args.dim,
        num_hidden_layers=args.n_layers,
        head_dim=args.head_dim,
        intermediate_size=args.hidden_dim,
        num_attention_heads=args.n_heads,
        num_key_value_heads=args.n_kv_heads,
        vocab_size=args.vocab_size,
        attention_dropout=0.0,
        use_cache=False,
    )
    modules = list(recipe.target_modules)
    lora = LoraConfig(r=recipe.rank, lora_dropout=recipe.dropout, target_modules=modules, task_type="CAUSAL_LM")
    model = get_peft_model(MistralForCausalLM(config).to(dtype), lora).train()
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(args.vocab_size, (recipe.batch, STEP.longest))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=ids).logits.float().mean()
    assert loss.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("targets", ["q,v", "q,k,v,o", ",".join(LETTERS)])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_layer_keeps_as_much_for_the_way_back_as_was_planned(dtype, targets: str, dropout: float) -> None:
    recipe = Recipe(batch=2, rank=4, targets=targets, dropout=dropout, checkpointing=False)
    two, six = (_kept_on_the_way_forward(replace(SMALL, n_layers=layers), recipe, dtype) for layers in (2, 6))
    planned = plan_memory(Base(args=SMALL, number_bytes=dtype.itemsize), recipe, STEP).activations / SMALL.n_layers
    assert (six - two) / 4 == pytest.approx(planned, rel=0.01)


@pytest.mark.parametrize("experts", [None, MoeArgs(num_experts=2, num_experts_per_tok=1)], ids=["dense", "experts"])
def test_weights_in_four_bits_take_what_transformers_holds(tmp_path: Path, experts: MoeArgs | None) -> None:
    args = replace(SMALL, moe=experts)
    write_random_model(tmp_path, RandomModel(args=args))
    placement = Placement(device_map={"": "cpu"}, max_memory=None, context=0)
    config = hf_model.read_config(tmp_path)
    model = hf_model.load_model(tmp_path, config, dtype=torch.bfloat16, placement=placement, quantize="nf4")
    states = [weight.quant_state for weight in model.parameters() if hasattr(weight, "quant_state")]
    held = sum(weight.untyped_storage().nbytes() for weight in model.parameters())
    scales = sum(state.absmax.nbytes + state.state2.absmax.nbytes for state in states)
    assert base_bytes(Base(args=args), "nf4") == held + scales


def test_a_7b_in_four_bits_takes_a_third_of_what_it_does_in_sixteen() -> None:
    assert base_bytes(SEVEN, "none") == 2 * 7_248_023_552
    assert base_bytes(SEVEN, "nf4") == pytest.approx(4.13e9, rel=0.01)


def test_the_7b_shape_is_trained_in_less_than_six_gigabytes() -> None:
    recipe = Recipe(quantize="nf4", rank=8, targets="q,v", batch=1, length=256)
    memory = plan_memory(SEVEN, recipe, STEP)
    assert memory.adapter == 16 * 3_407_872
    assert memory.activations == 32 * 256 * 4096 * 2
    assert 4.5e9 < memory.total < 6e9


def test_logits_count_where_something_is_learnt() -> None:
    recipe = Recipe(batch=2, length=256)
    samples = [
        Sample(ids=(1,) * 100, trained=(False,) * 90 + (True,) * 10),
        Sample(ids=(1,) * 30, trained=(True,) * 30),
    ]
    load = Load.of([(sample,) for sample in samples], recipe)
    assert load == Load(longest=100, learnt=60)
    whole = plan_memory(SEVEN, recipe, Load(longest=100, learnt=100))
    assert plan_memory(SEVEN, recipe, load).logits == pytest.approx(whole.logits * 0.6)


def test_packed_samples_count_together() -> None:
    sample = Sample(ids=(1,) * 100, trained=(False,) * 90 + (True,) * 10)
    assert Load.of([(sample, sample)], Recipe(batch=1)) == Load(longest=200, learnt=20)


def test_what_fits_is_let_through() -> None:
    recipe = Recipe(quantize="nf4")
    check_memory(SEVEN, recipe, STEP, plan_memory(SEVEN, recipe, STEP).total)


@pytest.mark.parametrize(
    ("recipe", "free", "hint"),
    [
        (Recipe(checkpointing=False), 17e9, "--checkpointing."),
        (Recipe(batch=4, accumulate=4), 15.6e9, "--batch 1 --accumulate 16."),
        (Recipe(batch=4096, accumulate=4), 15.6e9, "--batch 1 --accumulate 4096."),
        (Recipe(batch=1), 10e9, "--quantize nf4."),
        (Recipe(batch=2, checkpointing=False), 10e9, "--checkpointing --batch 1 --accumulate 8 --quantize nf4."),
        (Recipe(batch=1, quantize="nf4"), 4.8e9, "--length 64."),
        (Recipe(batch=1, quantize="nf4"), 1e9, "take a smaller model."),
    ],
)
def test_what_does_not_fit_is_refused_with_both_numbers_and_what_would(recipe, free: float, hint: str) -> None:
    needed = plan_memory(SEVEN, recipe, STEP).total
    with pytest.raises(OutOfMemoryError) as refused:
        check_memory(SEVEN, recipe, STEP, int(free))
    assert f"{needed:,} bytes" in refused.value.message
    assert f"but {int(free):,} are free" in refused.value.message
    assert refused.value.hint.endswith(hint)

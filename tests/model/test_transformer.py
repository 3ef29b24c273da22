"""The tree, what is drawn, what comes out, and training through it."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral
from oracle import PLAIN, SHAPES, gap, models, tokens


def test_print_shows_the_tree_by_the_names_of_checkpoints() -> None:
    shown = str(Mistral(ModelArgs.mistral_7b(), device="meta"))
    attention, feed_forward = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
    for name in ("embed_tokens", "layers", "self_attn", *attention, "mlp", *feed_forward, "norm", "lm_head"):
        assert f"({name}): " in shown
    for name in ("input_layernorm", "post_attention_layernorm"):
        assert f"({name}): RMSNorm(4096, eps=1e-05)" in shown
    assert "(0-31): 32 x" in shown
    assert "(k_proj): Linear(in_features=4096, out_features=1024, bias=False)" in shown


def test_print_shows_the_router_and_experts_of_mixtral() -> None:
    shown = str(Mistral(ModelArgs.mixtral_8x7b(), device="meta"))
    for name in ("block_sparse_moe", "gate", "experts", "w1", "w2", "w3"):
        assert f"({name}): " in shown
    assert "(0-7): 8 x Expert" in shown


def test_weights_are_drawn_evenly_between_plus_and_minus_002_and_norms_are_1() -> None:
    model = Mistral(PLAIN, torch.Generator().manual_seed(0))
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            assert torch.equal(weight, torch.ones_like(weight)), name
        else:
            assert 0.0195 < weight.max() <= 0.02, name
            assert -0.02 <= weight.min() < -0.0195, name
            assert weight.mean().abs() < 0.001, name
            assert 0.011 < weight.std() < 0.0121, name  # 0.04 / sqrt(12)


def test_the_same_generator_draws_the_same_model() -> None:
    first, second, other = (Mistral(PLAIN, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first(tokens())[0], second(tokens())[0])
    assert not torch.equal(first(tokens())[0], other(tokens())[0])


def test_drawing_from_a_generator_leaves_the_global_one_alone() -> None:
    state = torch.get_rng_state()
    Mistral(PLAIN, torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_logits_are_float32_or_float64(dtype: torch.dtype, expected: torch.dtype) -> None:
    model = Mistral(PLAIN, torch.Generator().manual_seed(1), dtype=dtype)
    logits, cache = model(tokens())
    assert (logits.dtype, logits.shape) == (expected, (2, 40, PLAIN.vocab_size))
    assert model(tokens(2, 1), cache)[0].dtype == expected
    assert cache.layers[0].keys.dtype == dtype


@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 0.05), (torch.float32, 1e-4)])
@torch.inference_mode()
def test_lower_precision_stays_close_to_float64(dtype: torch.dtype, close: float) -> None:
    exact, _ = models(SHAPES["nemo-like"])
    rough = Mistral(SHAPES["nemo-like"], device="meta", dtype=dtype)
    rough.load_state_dict({name: weight.to(dtype) for name, weight in exact.state_dict().items()}, assign=True)
    expected, (logits, cache) = exact(tokens())[0], rough(tokens())
    assert (logits - expected).norm() / expected.norm() < close
    step, _ = rough(tokens(2, 1), cache)
    expected = exact(torch.cat((tokens(), tokens(2, 1)), 1))[0][:, -1:]
    assert (step - expected).norm() / expected.norm() < close


@torch.inference_mode()
def test_last_only_gives_the_last_position_alone() -> None:
    model, _ = models(PLAIN)
    logits, cache = model(tokens(), last_only=True)
    assert logits.shape == (2, 1, PLAIN.vocab_size)
    assert gap(logits, model(tokens())[0][:, -1:]) < 1e-12
    assert cache.length == 40


def test_a_model_built_on_meta_and_filled_computes_as_the_one_it_was_filled_from() -> None:
    model, _ = models(SHAPES["nemo-like"])
    filled = Mistral(SHAPES["nemo-like"], device="meta", dtype=torch.float64)
    assert filled.device.type == "meta"
    filled.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(filled(tokens())[0], model(tokens())[0])


def test_a_forward_on_meta_leaves_the_tables_of_the_real_device_right() -> None:
    model, _ = models(PLAIN)
    twin = Mistral(PLAIN, device="meta", dtype=torch.float64)
    assert twin(tokens().to("meta"))[0].shape == (2, 40, PLAIN.vocab_size)
    twin.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(twin(tokens())[0], model(tokens())[0])


def test_building_a_model_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch; from mistral_cli.model.transformer import Mistral; "
        "from mistral_cli.model.args import ModelArgs; model = Mistral(ModelArgs(), device='meta'); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_model_used_in_inference_mode_can_be_trained_afterwards() -> None:
    model, _ = models(PLAIN)
    with torch.inference_mode():
        model(tokens())
    model(tokens())[0].sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_gradients_flow_through_what_a_pass_adds_to_a_cache() -> None:
    model, _ = models(SHAPES["windowed"])
    ids = tokens(1, 20)
    _, cache = model(ids[:, :12])
    first, _ = model(ids[:, 12:16], cache)
    second, _ = model(ids[:, 16:], cache)  # writes into the memory that the first read
    (first.square().mean() + second.square().mean()).backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())


@pytest.mark.parametrize("part", ["q_proj", "v_proj"])
def test_gradients_are_right_where_one_projection_alone_is_trained(part: str) -> None:
    whole, _ = models(PLAIN)
    alone = copy.deepcopy(whole).requires_grad_(False)
    for name, weight in alone.named_parameters():
        weight.requires_grad_(part in name)
    for model in (whole, alone):
        logits, cache = model(tokens())
        with torch.no_grad():
            model(tokens(2, 1), cache)  # must not touch what the graph keeps
        logits.square().mean().backward()
    expected = dict(whole.named_parameters())
    for name, weight in alone.named_parameters():
        assert (weight.grad is not None) == (part in name)
        if weight.grad is not None:
            assert gap(weight.grad, expected[name].grad) < 1e-12


def test_a_cache_holds_no_graph() -> None:
    model, _ = models(PLAIN)
    _, cache = model(tokens())
    assert not any(layer.keys.requires_grad or layer.values.requires_grad for layer in cache.layers)


def test_on_layer_is_called_before_each_layer() -> None:
    model, _ = models(PLAIN)
    calls: list[int] = []
    model(tokens(), on_layer=lambda: calls.append(1))
    assert len(calls) == PLAIN.n_layers

"""A model's shape: the published counts, what is not given, and what no model can have."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from mistral_cli.errors import CheckpointError
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from oracle import SHAPES

PUBLISHED = {
    "mistral_7b": 7_241_732_096,
    "mistral_7b_v03": 7_248_023_552,
    "nemo_12b": 12_247_782_400,
    "ministral_8b": 8_019_808_256,
    "small_24b": 23_572_403_200,
    "mixtral_8x7b": 46_702_792_704,
}


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_published_models_have_their_published_parameters(name: str, parameters: int) -> None:
    args: ModelArgs = getattr(ModelArgs, name)()
    assert args.parameters == parameters
    model = Mistral(args, device="meta")
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize("shape", SHAPES)
def test_tensor_shapes_are_those_of_the_module_tree_in_its_order(shape: str) -> None:
    model = Mistral(SHAPES[shape], device="meta")
    tree = [(name, tuple(weight.shape)) for name, weight in model.state_dict().items()]
    assert tree == list(SHAPES[shape].tensor_shapes().items())
    assert sum(weight.numel() for weight in model.parameters()) == SHAPES[shape].parameters


def test_tied_embeddings_are_counted_once() -> None:
    args = ModelArgs()
    assert args.parameters - replace(args, tie_word_embeddings=True).parameters == 32000 * 4096


def test_fields_that_are_not_given_are_those_of_mistral_7b_v01() -> None:
    stated = ModelArgs(
        dim=4096, n_layers=32, head_dim=128, hidden_dim=14336, n_heads=32, n_kv_heads=8, norm_eps=1e-5, vocab_size=32000
    )
    assert stated == ModelArgs() == ModelArgs.mistral_7b()
    assert (stated.rope_theta, stated.sliding_window, stated.max_position_embeddings) == (10000.0, 4096, 32768)
    assert not stated.tie_word_embeddings
    assert stated.moe is None


def test_a_shape_cannot_be_changed() -> None:
    args = ModelArgs()
    with pytest.raises(FrozenInstanceError):
        args.dim = 1  # type: ignore[misc]


def test_the_cache_of_a_7b_takes_131072_bytes_a_token_in_two_byte_numbers() -> None:
    assert ModelArgs.mistral_7b().kv_bytes_per_token(2) == 131_072


def test_each_layer_knows_its_window() -> None:
    assert [ModelArgs().window(index) for index in (0, 31)] == [4096, 4096]
    assert [ModelArgs.ministral_8b().window(index) for index in range(5)] == [None, 32768, 32768, 32768, None]
    assert ModelArgs.mistral_7b_v03().window(0) is None


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"n_layers": -1}, "n_layers is -1"),
        ({"hidden_dim": 10**12}, "hidden_dim is 1000000000000"),
        ({"vocab_size": "32000"}, "vocab_size is '32000'"),
        ({"vocab_size": 32000.0}, "vocab_size is 32000.0"),
        ({"n_heads": True}, "n_heads is True"),
        ({"max_position_embeddings": None}, "max_position_embeddings is None"),
        ({"n_heads": 32, "n_kv_heads": 5}, "n_heads is 32, which is no multiple of n_kv_heads (5)"),
        ({"n_heads": 4, "n_kv_heads": 8}, "n_heads is 4, which is no multiple of n_kv_heads (8)"),
        ({"head_dim": 63}, "head_dim is 63"),
        ({"norm_eps": 0}, "norm_eps is 0"),
        ({"norm_eps": math.nan}, "norm_eps is nan"),
        ({"rope_theta": math.inf}, "rope_theta is inf"),
        ({"rope_theta": 0.5}, "rope_theta is 0.5"),
        ({"rope_theta": "1e6"}, "rope_theta is '1e6'"),
        ({"sliding_window": 0}, "sliding_window is 0"),
        ({"sliding_window": -4096}, "sliding_window is -4096"),
        ({"sliding_window": 4096.5}, "sliding_window is 4096.5"),
        ({"sliding_window": (4096, None)}, "sliding_window lists 2 layers, but there are 32"),
        ({"sliding_window": (None,) * 31 + (0,)}, "sliding_window is 0"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'"),
        ({"dim": 2**17, "hidden_dim": 2**20, "n_layers": 2**10}, "parameters"),
        ({"dim": "x" * 1000}, "dim is 'xxx"),
    ],
)
def test_sizes_that_no_model_can_have_are_refused_by_name(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        ModelArgs(**fields)  # type: ignore[arg-type]
    assert complaint in caught.value.message
    assert len(str(caught.value)) < 250
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("fields", [{"num_experts": 0}, {"num_experts": 2, "num_experts_per_tok": 3}])
def test_experts_that_no_model_can_have_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(CheckpointError, match="num_experts"):
        MoeArgs(**fields)


def test_more_experts_than_their_names_would_fit_into_memory_are_refused_at_once() -> None:
    with pytest.raises(CheckpointError, match="1024 layers of 4096 experts are too many"):
        ModelArgs(dim=2, head_dim=2, hidden_dim=1, n_layers=1024, moe=MoeArgs(num_experts=4096))


def test_whole_numbers_stand_for_fractional_ones() -> None:
    assert ModelArgs(rope_theta=1_000_000).rope_theta == 1e6


def test_the_largest_shape_allowed_is_far_above_the_largest_published_one() -> None:
    assert ModelArgs(dim=16384, n_layers=126, hidden_dim=53248, n_heads=128, vocab_size=128256).parameters > 4e11


def test_building_a_tree_on_meta_takes_no_memory() -> None:
    with torch.device("meta"):
        model = Mistral(ModelArgs.mixtral_8x7b())
    assert {weight.device.type for weight in model.parameters()} == {"meta"}

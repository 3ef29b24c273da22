"""Which layers an adapter's config means, and with what rank and alpha: by peft's own functions, in bounded time."""

from __future__ import annotations

import json
import random
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from peft import LoraConfig as TheirConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key

from mistral_cli.errors import CheckpointError
from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.adapters.files import linear_shapes
from mistral_cli.weights.adapters.lora_config import read_lora_config
from mistral_cli.weights.adapters.patterns import expression, matches, matches_end

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (*linear_shapes(ModelArgs.mistral_7b_v03()), *linear_shapes(ModelArgs.mixtral_8x7b()))
TARGETS: list[dict[str, Any]] = [
    {"target_modules": ["q_proj", "v_proj"]},
    {"target_modules": ["model.layers.3.self_attn.q_proj", "layers.1.mlp.up_proj", "proj"]},
    {"target_modules": r".*\.(1|2\d)\.self_attn\.(q|o)_proj"},
    {"target_modules": r"^(?=model)(?!.*experts).*\.(?:layers)\.[0-9]{1,2}\.(?:self_attn|mlp)\.[a-z_]+?_proj$"},
    {"target_modules": r"(?:.*?(?:layers|text).*?(?:attn|mlp).*?(?:k_proj|down_proj).*?)|(?:\blm_head\b)"},
    {"target_modules": "q_proj"},
    {"target_modules": ["q_proj", "w1"], "layers_to_transform": [1, 30]},
    {"target_modules": ["q_proj", "model.layers.2.self_attn.k_proj"], "layers_to_transform": 1},
    {"target_modules": ["w2"], "layers_to_transform": [2], "layers_pattern": ["layers"]},
    {"target_modules": ["k_proj"], "layers_to_transform": []},
    {"target_modules": ["gate", "w3"], "exclude_modules": ["experts.7.w3", "model.layers.0.block_sparse_moe.gate"]},
    {"target_modules": ["o_proj"], "exclude_modules": r".*layers\.[02468]\..*"},
]


def written(folder: Path, **config: Any) -> Path:
    said = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, **config}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("config", TARGETS)
def test_the_layers_that_are_meant_are_pefts(config: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = read_lora_config(written(tmp_path, **config)), TheirConfig(**config)
    wanted = [name for name in NAMES if check_target_module_exists(theirs, name)]
    assert [name for name in NAMES if ours.targets_module(name)] == wanted
    assert len(wanted) < len(NAMES)


def test_ranks_and_alphas_by_patterns_are_pefts(tmp_path: Path) -> None:
    patterns = {
        "q_proj": 2,
        r"^model\.layers\.1\.self_attn\.k_proj": 3,
        "^layers.1.self_attn.v_proj": 5,
        "experts.[0-3].w1": 7,
        r".*\.2\d\..*": 9,
        "proj|w3": 11,
        "_proj": 13,
    }
    ours = read_lora_config(written(tmp_path, target_modules=["q_proj"], rank_pattern=patterns, alpha_pattern=patterns))
    wanted = {name: patterns.get(get_pattern_key(patterns, name), 4) for name in NAMES}
    assert {name: ours.rank_of(name) for name in NAMES} == wanted
    assert {name: ours.scaling(name) for name in NAMES if wanted[name] != 4} == {
        name: 1.0 for name in NAMES if wanted[name] != 4
    }
    assert set(wanted.values()) >= {2, 3, 4, 7, 9, 11}


class _Draws:
    """Draws expressions and names of few signs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def choice(self, depth: int) -> str:
        return "|".join(self._sequence(depth) for _ in range(self.random.choice((1, 1, 1, 2, 3))))

    def name(self) -> str:
        return "".join(self.random.choice("ab._0") for _ in range(self.random.randrange(1, 7)))

    def _sequence(self, depth: int) -> str:
        repeats = ("", "", "", "", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "+?", "??", "{0,1}?")
        return "".join(self._atom(depth) + self.random.choice(repeats) for _ in range(self.random.choice((0, 1, 2, 3))))

    def _atom(self, depth: int) -> str:
        if depth and self.random.random() < 0.3:
            return f"({self.random.choice(('', '?:', '?=', '?!'))}{self.choice(depth - 1)})"
        sets = ("[ab]", "[^a]", "[a-c.]", "[]a]", "[^]a]", r"[\]a]", r"[\d_]")
        edges = (r"\b", r"\B", "^", "$", r"\A", r"\Z")
        atoms: tuple[str, ...] = (*sets, *edges, r"\d", r"\w", r"\.", ".", *"ab._0ab._0")
        return self.random.choice(atoms)


@pytest.mark.parametrize("seed", range(4))
def test_an_expression_matches_what_it_matches_in_python(seed: int) -> None:
    draws, compared = _Draws(seed), 0
    while compared < 1000:
        text, name = draws.choice(2), draws.name()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = re.fullmatch(text, name), re.match(rf"(.*\.)?({text})$", name)
                got = matches(text, name), matches_end(text, name)
            except (re.error, ValueError):  # none, or repeats too deep within each other
                continue
        assert got == tuple(map(bool, wanted)), (text, name)
        compared += 1


@pytest.mark.parametrize("text", [r"(([a-z_.0-9])+)+!", "(.|.)*!", r"((a+)b?)+x", ".*" * 32 + "!", "(((.*)*_)*a)!"])
def test_one_that_python_would_try_for_years_is_matched_at_once(text: str) -> None:
    assert not any(matches(text, name * 4) or matches_end(text, name * 4) for name in NAMES[:3])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(", "no regular expression"),
        (r"(q)\1", r"'\\\\1' is not matched here"),
        ("(?i)Q", r"'\(\?i\)' is not matched"),
        ("(?<=q)_", r"'\(\?<=' is not matched"),
        ("a*+", "possessive"),
        ("((((a*)*)*)*)*", "more than 3 within each other"),
        ("a*" * 33, "more than 32 repeats"),
        ("a" * 1001, "longer than 1,000"),
    ],
)
def test_one_that_is_not_matched_here_says_why(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        expression(text)
    for config in ({"target_modules": text}, {"exclude_modules": text}, {"rank_pattern": {text: 2}}):
        with pytest.raises(CheckpointError, match=said):
            read_lora_config(written(tmp_path, **config))


def test_every_field_of_pefts_config_is_known_harmless_or_refused_by_its_name(tmp_path: Path) -> None:
    """A field that peft gets tomorrow is refused as soon as it says something."""
    known = {
        "r", "target_modules", "exclude_modules", "lora_alpha", "use_rslora", "layers_to_transform", "layers_pattern",
        "rank_pattern", "alpha_pattern", "base_model_name_or_path", "peft_type", "init_lora_weights",
    }  # fmt: skip
    only_in_training_or_elsewhere = {
        "task_type", "auto_mapping", "peft_version", "revision", "inference_mode", "lora_dropout", "megatron_core",
        "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size", "ensure_weight_tying",
        "runtime_config",
    }  # fmt: skip
    fields = set(TheirConfig.__dataclass_fields__) - known - only_in_training_or_elsewhere
    for field in sorted(fields):
        with pytest.raises(CheckpointError, match=f" has {field} = "):
            read_lora_config(written(tmp_path, target_modules=["q_proj"], **{field: {"some": "value"}}))
    assert {"bias", "modules_to_save", "fan_in_fan_out", "lora_bias", "target_parameters", "use_dora"} <= fields

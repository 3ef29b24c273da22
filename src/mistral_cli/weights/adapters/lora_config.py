"""What ``adapter_config.json`` says of an adapter, each key checked. Knows no tensor, no model and no torch.

The names and the rules are PEFT's (``peft/tuners/lora/config.py``). A key that changes what is computed and that we do
not compute is refused by name: an adapter applied in part answers wrongly, and nobody sees it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError, ModelNotFoundError
from mistral_cli.weights.adapters.patterns import expression, matches, matches_end
from mistral_cli.weights.config_fields import ConfigFields
from mistral_cli.weights.json_file import check_is_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLE = "adapter_model.bin"
"""What peft wrote once, and still reads: never read here."""
LARGEST_RANK = 4096
LONGEST_NAME = 1000
"""Characters of a base's name; what is longer names nothing."""
ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the head, as a target; once it is saved, their names stand there."""

_PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Values of ``init_lora_weights`` that leave the base's weights alone; the others change them as training begins."""

_HARMLESS = frozenset(
    {
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_alpha",
        "lora_dropout",
        "lora_ga_config",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "rank_pattern",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
        "use_rslora",
    }
)
"""Keys that are computed with, or that change nothing once the adapter is trained."""

_HINT = "Use an adapter of plain LoRA, or merge it into its base with peft first."
_AGAIN = "Save the adapter again with peft."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """A LoRA adapter's shape, as PEFT writes it. Hu et al. (arXiv:2106.09685), section 4.1."""

    rank: int
    alpha: float
    rslora: bool = False
    """Divide by the root of the rank. Kalajdzievski (arXiv:2312.03732)."""
    targets: tuple[str, ...] | str = ()
    """Ends of module names, or one regular expression for whole names."""
    excluded: tuple[str, ...] | str = ()
    layers: tuple[int, ...] | None = None
    """Only these layers' modules, where targets are ends of names."""
    rank_pattern: tuple[tuple[str, int], ...] = ()
    alpha_pattern: tuple[tuple[str, float], ...] = ()
    base: str | None = None
    """The model it was trained on, as its trainer called it."""

    @property
    def is_for_all(self) -> bool:
        """Whether the targets are every linear layer there is, without their names."""
        return isinstance(self.targets, str) and self.targets.lower() == ALL_LINEAR

    def rank_of(self, module: str) -> int:
        """Return the rank of the adapter on ``module``, a whole dotted name."""
        return int(_by_pattern(self.rank_pattern, module, self.rank))

    def alpha_of(self, module: str) -> float:
        """Return the alpha of the adapter on ``module``."""
        return _by_pattern(self.alpha_pattern, module, self.alpha)

    def scaling(self, module: str) -> float:
        """Return what the product of ``module``'s two matrices is multiplied with."""
        rank = self.rank_of(module)
        return self.alpha_of(module) / (math.sqrt(rank) if self.rslora else rank)

    def targets_module(self, module: str) -> bool:
        """Tell whether PEFT would put an adapter on ``module`` (``check_target_module_exists``)."""
        if _matches(self.excluded, module):
            return False
        if self.is_for_all:
            return module.rpartition(".")[2] != "lm_head"
        if isinstance(self.targets, str) or module in self.targets or self.layers is None:
            return _matches(self.targets, module)
        index = re.match(r".*?\.[^.]*\.(\d+)\.", module)
        return _matches(self.targets, module) and index is not None and int(index[1]) in self.layers


def read_lora_config(folder: Path) -> LoraConfig:
    """Return what the adapter in ``folder`` says of itself.

    Raises:
        ModelNotFoundError: no such folder.
        CheckpointError: no adapter in it; not LoRA; LoRA of a kind that is not computed here; a value out of range.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"There is no adapter folder at {folder}.", "Check the path.")
    path = folder / CONFIG
    if not (path.exists() or path.is_symlink()):
        raise CheckpointError(f"{folder} holds no {CONFIG}.", "Name a folder that peft or mistral tune wrote.")
    check_is_file(path)
    fields = ConfigFields.read(path)
    _refuse_unknown(fields)
    return LoraConfig(
        rank=_rank(path, "r", fields.get("r")),
        alpha=_alpha(path, "lora_alpha", fields.get("lora_alpha")),
        rslora=fields.flag("use_rslora"),
        targets=_names(fields, "target_modules"),
        excluded=_names(fields, "exclude_modules"),
        layers=_layers(fields),
        rank_pattern=tuple((key, _rank(path, key, value)) for key, value in _patterns(fields, "rank_pattern")),
        alpha_pattern=tuple((key, _alpha(path, key, value)) for key, value in _patterns(fields, "alpha_pattern")),
        base=_base(fields.get("base_model_name_or_path")),
    )


def _refuse_unknown(fields: ConfigFields) -> None:
    """Refuse, by name, every key whose value makes PEFT compute something else than plain LoRA."""
    if fields.get("peft_type") != "LORA":
        kind = f"{fields.get('peft_type')!r:.40}"
        raise CheckpointError(f"{fields.path} is an adapter of the kind {kind}; only LORA is computed here.", _HINT)
    start = fields.get("init_lora_weights")
    if start not in _PLAIN_STARTS:
        message = f"{fields.path} was started by {start!r:.40}, which changes the base's own weights."
        raise CheckpointError(message, "Convert it to plain LoRA with peft (path_initial_model_for_weight_conversion).")
    for key, value in fields.values.items():
        if key in _HARMLESS or value in (None, False) or value in ([], {}) or (key, value) == ("bias", "none"):
            continue
        raise CheckpointError(f"{fields.path} has {key} = {value!r:.60}, which is not computed here.", _HINT)


def _rank(path: Path, key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_RANK:
        what = f"the rank {key!r:.80} is {value!r:.40}, but must be a whole number from 1 to {LARGEST_RANK:,}"
        raise CheckpointError(f"{path} makes no sense: {what}.", _AGAIN)
    return value


def _alpha(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < abs(value) < 1e9:
        what = f"the alpha {key!r:.80} is {value!r:.40}, but must be a number other than 0"
        raise CheckpointError(f"{path} makes no sense: {what}.", _AGAIN)
    return float(value)


def _names(fields: ConfigFields, key: str) -> tuple[str, ...] | str:
    value = fields.get(key)
    if isinstance(value, str):
        return _checked(fields.path, value)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise fields.wrong(key, "a list of names or one regular expression")
    return tuple(sorted(value))


def _layers(fields: ConfigFields) -> tuple[int, ...] | None:
    value = fields.get("layers_to_transform")
    if value is None or value == []:
        return None
    if isinstance(fields.get("target_modules"), str):
        raise fields.wrong("layers_to_transform", "absent where target_modules is a regular expression")
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(layer, int) and not isinstance(layer, bool) for layer in listed):
        raise fields.wrong("layers_to_transform", "a list of whole numbers")
    if fields.get("layers_pattern") not in (None, [], "", "layers", ["layers"]):
        raise fields.wrong("layers_pattern", "absent or 'layers'")
    return tuple(listed)


def _patterns(fields: ConfigFields, key: str) -> list[tuple[str, object]]:
    section = fields.section(key)
    values: Mapping[str, object] = section.values if section else {}
    return [(_checked(fields.path, pattern), value) for pattern, value in values.items()]


def _checked(path: Path, pattern: str) -> str:
    """Return a stranger's regular expression; what is none, or cannot be matched in bounded time, is refused."""
    try:
        expression(pattern)
    except ValueError as error:
        raise CheckpointError(f"{path} has {pattern!r:.60}, but {error}.", "List the names instead.") from error
    return pattern


def _matches(names: tuple[str, ...] | str, module: str) -> bool:
    if isinstance(names, str):
        return bool(names) and matches(names, module)
    return module in names or any(module.endswith(f".{name}") for name in names)


def _by_pattern(patterns: tuple[tuple[str, float], ...], module: str, usual: float) -> float:
    """Return the value of the first pattern that ends ``module`` as PEFT sees it (``get_pattern_key``)."""
    return next((value for key, value in patterns if matches_end(key, module)), usual)


def _base(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None

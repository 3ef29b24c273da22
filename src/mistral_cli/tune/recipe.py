"""How an adapter is trained: every number of it, checked, from a TOML file or flags. Knows no model and no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

LETTERS = {
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "o": "o_proj",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
}
"""How targets are written -> the ends of the modules' names."""

ALL_LINEAR = "all-linear"

MOST_AT_ONCE = 4096
"""Sequences of a batch, and batches of a step."""

Check = tuple["Callable[[Any], bool]", str]


def _whole(low: int, high: int = 2**31) -> Check:
    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return fits, f"a whole number, {low:,} or more" if high == 2**31 else f"a whole number from {low:,} to {high:,}"


def _number(low: float, high: float, text: str) -> Check:
    def fits(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return fits, text


def _one_of(*choices: str) -> Check:
    return (lambda value: value in choices), " or ".join(choices)


def _switch() -> Check:
    return (lambda value: isinstance(value, bool)), "true or false"


def _targets(value: object) -> bool:
    return isinstance(value, str) and (value == ALL_LINEAR or bool(split_targets(value)))


def _is_text(value: object) -> bool:
    """Tell whether a value can be written into a file: a path may hold bytes that are no text."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _option(default: object, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The numbers of one training. Valid once built.

    Raises:
        UsageError: a value out of its range; the message names it as a flag.
    """

    quantize: str = _option("none", _one_of("none", "nf4"))
    """The base's weights while it trains: ``none`` is LoRA, ``nf4`` is QLoRA."""
    adapter: str = _option("", (_is_text, "the folder or hub id of an adapter"))
    """One to go on from, whose rank, alpha and targets stand here; empty: a new one."""
    rank: int = _option(16, _whole(1, 4096))
    alpha: float = _option(32.0, _number(1e-3, 1e6, "a number from 0.001 to 1,000,000"))
    """The update is scaled by alpha / rank."""
    dropout: float = _option(0.0, _number(0, 0.9, "a number from 0 to 0.9"))
    targets: str = _option("q,v", (_targets, f"{ALL_LINEAR}, or some of {', '.join(LETTERS)} with commas between"))
    lr: float = _option(2e-4, _number(1e-8, 1, "a number from 1e-8 to 1"))
    """The learning rate at its highest."""
    schedule: str = _option("cosine", _one_of("cosine", "linear", "constant"))
    warmup: float = _option(0.03, _number(0, 1, "a number from 0 to 1"))
    """Part of the steps in which the learning rate rises."""
    epochs: float = _option(3.0, _number(1e-3, 1e4, "a number from 0.001 to 10,000"))
    steps: int = _option(0, _whole(0))
    """Optimizer steps; 0: as ``epochs`` has it."""
    batch: int = _option(4, _whole(1, MOST_AT_ONCE))
    """Sequences that go through the model at once."""
    accumulate: int = _option(4, _whole(1, MOST_AT_ONCE))
    """Batches of one optimizer step."""
    length: int = _option(1024, _whole(8, 2**20))
    """Tokens of a sequence at most."""
    packing: bool = _option(False, _switch())
    """Fill sequences with several samples; each sees only itself."""
    loss: str = _option("answers", _one_of("answers", "all"))
    seed: int = _option(0, _whole(0))
    eval_split: float = _option(0.1, _number(0, 0.5, "a number from 0 to 0.5"))
    """Part of the samples that is kept apart and asked before and after."""
    eval_every: int = _option(0, _whole(0))
    """Optimizer steps between two times that those kept apart are asked while it trains; 0: once an epoch."""
    save_every: int = _option(50, _whole(1))
    """Steps between two checkpoints."""
    checkpointing: bool = _option(True, _switch())
    """Compute activations again on the way back: less memory, a third more time."""

    def __post_init__(self) -> None:
        """Check every value."""
        for option in fields(self):
            fits, words = option.metadata["check"]
            value = getattr(self, option.name)
            if not fits(value):
                raise UsageError(f"--{option.name.replace('_', '-')} is {value!r:.60}, but must be {words}.")

    def with_values(self, values: Mapping[str, object]) -> Recipe:
        """Return a copy with ``values`` in place of its own; those that are None are left out."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]

    @property
    def target_modules(self) -> tuple[str, ...] | str:
        """What peft calls ``target_modules``."""
        return ALL_LINEAR if self.targets == ALL_LINEAR else split_targets(self.targets)

    def values(self) -> dict[str, Any]:
        """Return all of it by name."""
        return {option.name: getattr(self, option.name) for option in fields(self)}

    def as_toml(self) -> str:
        """Return the recipe as a file that ``check_recipe`` accepts."""
        return "".join(f"{name} = {_toml(value)}\n" for name, value in self.values().items())


def split_targets(targets: str) -> tuple[str, ...]:
    """Return the ends of the names of the modules that are meant; nothing where one of them is unknown."""
    names = [part.strip() for part in targets.split(",")]
    known = {**LETTERS, **{name: name for name in LETTERS.values()}}
    return tuple(known[name] for name in names) if all(name in known for name in names) else ()


def letters_of(modules: Iterable[str]) -> str:
    """Return how targets that are these modules are written; a module that has no letter goes by its own name."""
    letters = {name: letter for letter, name in LETTERS.items()}
    ends = {name.rpartition(".")[2] for name in modules}
    return ",".join([letter for name, letter in letters.items() if name in ends] + sorted(ends - letters.keys()))


def check_recipe(table: Mapping[str, object], path: Path) -> Mapping[str, object]:
    """Return what the TOML file at ``path`` says of a recipe, to be given to ``Recipe.with_values``.

    Raises:
        UsageError: a key that no recipe has, or a value that its option cannot have.
    """
    known = [option.name for option in fields(Recipe)]
    strange = next((key for key in table if key not in known), None)
    if strange is not None:
        raise UsageError(f"{path} has the key {strange!r:.60}, which no recipe has.", f"There are: {', '.join(known)}.")
    try:
        Recipe().with_values(table)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from None
    return table


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's rules, but for this one
    return repr(value)

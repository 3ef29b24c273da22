"""Sampling parameters in a chat: shown with their range, set for good, or for one answer."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.limits import LIMITS
from mistral_cli.settings.options import OPTIONS, SAMPLING
from mistral_cli.ui.slash.choice import Choice, matching
from mistral_cli.ui.slash.row import SlashCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.ui.repl import Repl

_OTHERS = {
    "logit_bias": "ID=BIAS, with commas between",
    "stop": "text that ends the answer",
    "order": "temperature-first or temperature-last",
    "watchdog": "on or off: whether an answer that says the same over and over is ended",
}
_WORDS = {"order": ("temperature-first", "temperature-last"), "watchdog": ("on", "off")}
"""Values that are words."""
_NONE: dict[str, object] = {"seed": None, "max_tokens": None, "logit_bias": {}, "stop": ()}
"""What ``none`` means."""
_NARROW = 60
"""Columns of a terminal below which nothing stands side by side."""
NAMES = tuple(name for name in SAMPLING if name != "logprobs")
"""What can be set: log-probabilities are kept in a chat whatever is asked."""


def read_value(name: str, text: str) -> tuple[str, object]:
    """Return a parameter's field and value from what was typed.

    Raises:
        UsageError: no such parameter, or no such value.
    """
    field = _field(name)
    if text == "none" and field in _NONE:
        return field, _NONE[field]
    try:
        return field, OPTIONS[field].metadata["read"](text)
    except ValueError as error:
        raise UsageError(f"{field} is {text!r:.40}, but must be {error}: {_range(field)}.") from error


def _field(name: str) -> str:
    field = name.lstrip("-").replace("-", "_")
    if field not in NAMES:
        raise UsageError(f"There is no parameter {name!r:.40}.", f"There are: {', '.join(NAMES)}.")
    return field


def read_pairs(words: str) -> dict[str, object]:
    """Return parameters from ``NAME=VALUE NAME=VALUE``.

    Raises:
        UsageError: a word that is no pair, or as ``read_value``.
    """
    try:
        pairs = [word.partition("=") for word in shlex.split(words)]
    except ValueError as error:
        raise UsageError(f"{words!r:.60} cannot be read: {error}.") from error
    for name, sign, _ in pairs:
        if not sign:
            raise UsageError(f"{name!r:.40} is no NAME=VALUE.", "For instance: temperature=0.2 top_p=1")
    return dict(read_value(name, value) for name, _, value in pairs)


def complete_pairs(repl: Repl, typed: str) -> list[Choice]:
    """Return the parameters that the last word may name, or the values of the one that it names."""
    word = typed.rpartition(" ")[2]
    name, sign, value = word.partition("=")
    if sign:
        return _values(repl, name, value)
    return matching(word, (choice._replace(text=f"{choice.text}=") for choice in _names(repl)))


def _names(repl: Repl) -> list[Choice]:
    return [Choice(name, f"{_shown(repl, name)} now; {_range(name)}") for name in NAMES]


def _values(repl: Repl, name: str, typed: str) -> list[Choice]:
    """Return the values of a parameter that can be listed, and the one that it has."""
    field = name.lstrip("-").replace("-", "_")
    if field not in NAMES:
        return []
    words = {_shown(repl, field): "now", **dict.fromkeys(_WORDS.get(field, ()), "")}
    if field in _NONE:
        words.setdefault("none", "")
    return matching(typed, (Choice(word, f"{about}; {_range(field)}".lstrip("; ")) for word, about in words.items()))


def _set(repl: Repl, words: str) -> None:
    name, _, value = words.replace("=", " ", 1).partition(" ")
    if not name:
        _list(repl, NAMES)
        return
    field = _field(name)
    if value.strip():
        repl.params = repl.params.with_values(dict([read_value(name, value.strip())]))
    _list(repl, (field,))


def _list(repl: Repl, names: Sequence[str]) -> None:
    """Show parameters, each with its value and its range; not side by side on narrow terminals."""
    rows = [(name, _shown(repl, name), _range(name)) for name in names]
    if repl.console.out.is_terminal and repl.console.out.columns < _NARROW:
        lines = [f"{name} {value} ({allowed})" for name, value, allowed in rows]
    else:
        lines = [f"{name:<20}{value:<18} {allowed}".rstrip() for name, value, allowed in rows]
    repl.console.rows(*lines, indent="    ")


def _shown(repl: Repl, name: str) -> str:
    """Return the value that a parameter has, as it is typed."""
    value = getattr(repl.params, name)
    value = ("off", "on")[value] if isinstance(value, bool) else value
    return "none" if value in (None, (), {}) else f"{value:g}" if isinstance(value, float) else f"{value}"


def _range(name: str) -> str:
    text = f"{LIMITS[name]}" if name in LIMITS else _OTHERS[name]
    return f"{text}, or none" if name in _NONE else text


def _complete(repl: Repl, typed: str) -> list[Choice]:
    name, gap, value = typed.replace("=", " ", 1).partition(" ")
    return _values(repl, name, value) if gap else matching(name, _names(repl))


COMMANDS = (
    SlashCommand(
        "/set", "[NAME [VALUE]]", "Set a sampling parameter, or show it (all of them) with its range.", _set, _complete
    ),
)

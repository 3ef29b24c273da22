"""The bar under the line: model, context, speed, chat, mode; shorter on narrower terminals. Draws nothing itself."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mistral_cli.adapting import labels
from mistral_cli.chat.context import WARNS_AT, used_tokens
from mistral_cli.errors import MistralError
from mistral_cli.text.sanitize import sanitize
from mistral_cli.ui.slash.row import excerpt
from mistral_cli.ui.wrap import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import ModelInfo
    from mistral_cli.ui.repl import Repl

FULL_AT: Final = 0.95
"""The part of the context from which on the gauge is red."""
_GAUGE: Final = 8
"""Cells of the gauge where there is room."""
_SHORT: Final = 16
"""Cells of a name where there is little room."""
_BETWEEN: Final = " · "


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the bar tells, as it is when a line is begun."""

    model: str
    form: str = ""
    """What is on the model, and how weights and cache are held, where not in the usual way: ``nf4``, ``kv int8``."""
    used: int = 0
    """Tokens in the context."""
    total: int
    speed: float = 0.0
    """Tokens a second of the last answer; 0 where there is none."""
    chat: str = ""
    """Its name."""
    modes: tuple[str, ...] = ()

    def in_modes(self, modes: Iterable[str]) -> Status:
        """Return the same while keys are taken in these modes, too."""
        return replace(self, modes=(*modes, *self.modes))

    @property
    def part(self) -> float:
        """Return how full the context is."""
        return self.used / self.total


def status_of(repl: Repl) -> Status:
    """Return what the bar tells of a chat. The tokens are counted only where no answer has told them."""
    info, path = repl.backend.info, repl.conversation.path()
    forms = (labels(info.adapters) or "none", info.quantization, f"kv {info.kv}" if info.kv != "none" else "none")
    return Status(
        model=info.name,
        form=_BETWEEN.join(form for form in forms if form != "none"),
        used=_used(repl, path[-1] if path else None, info),
        total=info.context,
        speed=path[-1].record.tokens_per_second if path else 0.0,
        chat=repl.session.name if repl.session is not None else "",
        modes=("private",) if repl.store is None else (),
    )


def _used(repl: Repl, last: Turn | None, info: ModelInfo) -> int:
    if last is None:
        return 0
    if last.record.model == info.name and used_tokens(last):
        return used_tokens(last)
    *said, answer = repl.conversation.prompt("")[:-1]
    with contextlib.suppress(MistralError):  # asking will say it
        return repl.backend.count((*said, replace(answer, prefix=True)))  # no chat format ends with a finished answer
    return 0


def laid_out(status: Status, columns: int) -> list[tuple[str, str]]:
    """Return the bar for a terminal of ``columns``, as (style, text); what matters least gives way first."""
    parts = list(_parts(status))
    lengths = [0] * len(parts)
    for turn in range(1, max(len(forms) for _, forms in parts)):
        for which in reversed(range(len(parts))):
            if _width(parts, lengths) > columns:
                lengths[which] = min(turn, len(parts[which][1]) - 1)
    shown = [(style, forms[length]) for (style, forms), length in zip(parts, lengths, strict=True) if forms[length]]
    bar: list[tuple[str, str]] = []
    for part in shown if _width(parts, lengths) <= columns else ():
        bar += [("", _BETWEEN), part] if bar else [part]
    return bar


def _width(parts: list[tuple[str, tuple[str, ...]]], lengths: list[int]) -> int:
    texts = [forms[length] for (_, forms), length in zip(parts, lengths, strict=True) if forms[length]]
    return cells(_BETWEEN.join(texts)) + 1


def _parts(status: Status) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each part's style and its forms, the longest first; the parts that matter most come first."""
    for number, mode in enumerate(status.modes):
        short = mode.partition(":")[0]
        yield "class:toolbar.mode", (mode, mode, short, short, "" if number else short)
    yield _style(status.part), _gauges(status)
    yield "", (sanitize(status.model), *[_short(status.model)] * 2, "")
    yield "", (sanitize(status.form), sanitize(status.form), "")
    yield "", (f"{status.speed:,.1f} tokens/s", f"{status.speed:,.1f} t/s", "") if status.speed else ("",)
    yield "", (sanitize(status.chat), _short(status.chat), "")


def _style(part: float) -> str:
    return "class:toolbar.full" if part >= FULL_AT else "class:toolbar.warns" if part >= WARNS_AT else ""


def _gauges(status: Status) -> tuple[str, ...]:
    bars = [min(round(status.part * size), size) for size in (_GAUGE, _GAUGE // 2)]
    long, short = ("▰" * bar + "▱" * (size - bar) for bar, size in zip(bars, (_GAUGE, _GAUGE // 2), strict=True))
    share = f"{status.part:.0%}"
    count = f"{status.used:,} of {status.total:,}"
    return f"{long} {count} tokens", f"{long} {count}", f"{long} {share}", f"{short} {share}", share, ""


def _short(name: str) -> str:
    return excerpt(sanitize(name).rpartition("/")[2], _SHORT)

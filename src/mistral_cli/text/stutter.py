"""Whether a text that is written again and again is a stutter or is meant: drawn, padded, listed. Knows no tokenizer.

Only words stutter. A ruler, a row of zeros or of other numbers, indentation, a drawing of one or two letters, rows of a
table, the values of a list, empty cells of a page are written many times over on purpose.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKUP: Final = re.compile(r"<[/!?a-zA-Z][^<>]*>|&#?\w+;")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_VALUES: Final = re.compile(
    r"""(?>
        "(?:[^"\\\n]|\\.)*+" | '(?:[^'\\\n]|\\.)*+'
        | [-+]?\.?\d[\w.]*+(?:[-+]\d+)?                                # 12, -0.5e-3, 0xff, 1.0f
        | \b(?:true|false|null|None|True|False|nil|NaN|NA|undefined|Infinity)\b
        | [\s,:;\[\](){}]
    )*+""",
    re.VERBOSE,
)
_WOVEN: Final = 6
"""Letters of a run that no word makes of two different ones: ``XOXOXO``."""


def is_stutter(period: str) -> bool:
    """Tell whether ``period``, which is repeated, is a stutter; it may begin anywhere in what is repeated.

    What shows nothing at all (control tokens) is one, too.
    """
    return not period or (_says_something(period) and not _is_table(period) and not _is_list(period))


def _says_something(period: str) -> bool:
    """Tell whether there is a word, or nothing but a lone letter (``I I I``)."""
    begins = next((sign for sign in "<&\n " if sign in period), "")
    text = _MARKUP.sub(" ", _turned(period, begins) * 3)
    runs = [run for run in _LETTERS.findall(text) if any(unicodedata.category(char) != "Lm" for char in run)]
    if any(len(run) > 1 and not _is_drawn(run) for run in runs):
        return True
    return bool(runs) and "\n" not in text and all(len(word) == 1 and word.isalpha() for word in text.split())


def _is_drawn(run: str) -> bool:
    """Tell whether letters make a bar or a pattern: ``XXXX``, ``XOXOXO``."""
    different = len(set(run.casefold()))
    return run.isascii() and (different == 1 or (different == 2 and len(run) >= _WOVEN))


def _is_table(period: str) -> bool:
    """Tell whether each line has a vertical bar; ``<|`` begins a control token that was spelled out."""
    lines = _turned(period, "\n").strip("\n").split("\n")
    return all("|" in line for line in lines) and "<|" not in period


def _is_list(period: str) -> bool:
    """Tell whether values stand there with commas between them, as in JSON and in most programming languages."""
    return any(_VALUES.fullmatch(turned) for turned in _turns(period, ","))


def _turned(period: str, sign: str) -> str:
    """Return the same repetition, from the first ``sign`` on."""
    return next(_turns(period, sign), period)


def _turns(period: str, sign: str) -> Iterator[str]:
    """Yield the same repetition from each ``sign`` on."""
    for match in re.finditer(re.escape(sign), period):
        yield period[match.start() :] + period[: match.start()]

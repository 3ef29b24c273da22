"""The range of every sampling parameter: one table for the help, the errors and the REPL. Knows nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Limit:
    """The range of one sampling parameter: what flags, config and requests may hold."""

    low: float
    high: float
    low_is_open: bool = False
    """True where ``low`` itself is not allowed."""
    whole: bool = False
    """True where a fraction has no meaning; 40.0 is no fraction."""

    def __str__(self) -> str:
        """Return the range in words: ``0 to 2``, ``above 0``, ``1 or more``."""
        if self.high == math.inf:
            return f"above {self.low:g}" if self.low_is_open else f"{self.low:g} or more"
        high = f"{self.high:,}" if isinstance(self.high, int) else f"{self.high:g}"
        return f"above {self.low:g}, up to {high}" if self.low_is_open else f"{self.low:g} to {high}"

    def allows(self, value: float) -> bool:
        """Tell whether ``value`` is finite, in the range, and whole where it has to be."""
        above = value > self.low if self.low_is_open else value >= self.low
        is_finite = -math.inf < value < math.inf  # of a whole number beyond all floats, math.isfinite raises
        return is_finite and above and value <= self.high and not (self.whole and value % 1)


LIMITS: Mapping[str, Limit] = {
    "temperature": Limit(0, 100),
    "top_p": Limit(0, 1, low_is_open=True),
    "top_k": Limit(0, math.inf, whole=True),
    "min_p": Limit(0, 1),
    "repetition_penalty": Limit(0, 100, low_is_open=True),
    "presence_penalty": Limit(-100, 100),
    "frequency_penalty": Limit(-100, 100),
    "seed": Limit(0, 2**63 - 1, whole=True),
    "max_tokens": Limit(1, math.inf, whole=True),
    "logprobs": Limit(0, 100, whole=True),
}
"""Parameter -> range. One table for the flags' help, the errors and the REPL."""

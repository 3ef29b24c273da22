"""One answer while it is made: its limits, its ids, its times. Computes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.contract import TokensDone

if TYPE_CHECKING:
    import torch

    from mistral_cli.contract import Cancel, Reason, SamplingParams
    from mistral_cli.engine.sampler import Seen


class CancelledError(Exception):
    """Leaves a chunk between two of its layers; the cache has not advanced."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer while it is made."""

    prompt: list[int]
    params: SamplingParams
    cancel: Cancel
    generator: torch.Generator
    seen: Seen
    ids: list[int]
    room: int
    """Ids that may be drawn."""
    started: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    last: float = 0.0
    drawn: int = 0
    """Ids drawn, EOS among them."""
    reused: int = 0
    reason: Reason = "stop"

    def check(self) -> None:
        """Raise if the answer is not wanted any more."""
        if self.cancel.is_set():
            raise CancelledError

    def note(self, token: int) -> None:
        """Count an id and take the time."""
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.drawn += 1
        self.ids.append(token)

    def done(self, peak_memory: int) -> TokensDone:
        """Sum up."""
        seconds = self.last - self.first
        return TokensDone(
            reason=self.reason,
            prompt_tokens=len(self.prompt),
            reused_tokens=self.reused,
            answer_tokens=self.drawn,
            seconds_to_first_token=self.first - self.started if self.drawn else 0.0,
            tokens_per_second=(self.drawn - 1) / seconds if seconds > 0 else 0.0,
            seed=self.generator.initial_seed(),
            peak_memory=peak_memory,
        )

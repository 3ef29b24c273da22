"""One answer from its prompt to its end: what every engine does alike, whoever computes the logits. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.contract import Notice, PrefillProgress
from mistral_cli.engine.answer import CancelledError
from mistral_cli.engine.draw import draw_token
from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from torch import Tensor

    from mistral_cli.contract import EngineEvent, TokenDrawn
    from mistral_cli.engine.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What an engine answers with."""

    eos: frozenset[int]
    """The ids that end an answer."""
    chunk: int
    """Prompt tokens read in one go."""
    keep: Callable[[Answer], str]
    """Cuts the cache back to what it shares with the prompt, notes how much, and returns what is to be said of it."""
    step: Callable[[list[int], Answer], Tensor]
    """Puts ids through the model and into the cache; returns the logits (V,) after the last."""
    next: Callable[[int, Answer], Tensor]
    """Does that for one id."""
    forget: Callable[[], None]
    """Empties the cache."""
    peak_memory: Callable[[], int]

    def run(self, answer: Answer) -> Generator[EngineEvent, None, None]:
        """Yield the events of ``Engine.generate``."""
        try:
            logits = yield from self._read(answer)
            yield from self._write(answer, logits)
        except CancelledError:
            answer.reason = "cancelled"
        yield answer.done(self.peak_memory())

    def _read(self, answer: Answer) -> Generator[EngineEvent, None, Tensor]:
        """Prefill what the cache does not hold yet; return the logits after the last id of the prompt."""
        total, notice = len(answer.prompt), self.keep(answer)
        if notice:
            yield Notice(notice)
        yield PrefillProgress(answer.reused, total, answer.reused)
        for start in range(answer.reused, total, self.chunk):
            logits = self.step(answer.prompt[start : start + self.chunk], answer)
            yield PrefillProgress(min(start + self.chunk, total), total, answer.reused)
        return logits

    def _write(self, answer: Answer, logits: Tensor) -> Iterator[EngineEvent]:
        """Draw until EOS, the limit or a cancel; the last id drawn stays out of the cache."""
        while True:
            answer.check()
            token = self._draw(answer, logits)
            if token.id in self.eos:
                return
            yield token
            if answer.drawn == answer.room:
                answer.reason = "length"
                return
            logits = self.next(token.id, answer)

    def _draw(self, answer: Answer, logits: Tensor) -> TokenDrawn:
        try:
            return draw_token(answer, logits)
        except MistralError:
            self.forget()
            raise

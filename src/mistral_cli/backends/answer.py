"""A prompt as ids, and the ids of its answer as they come, turned into text: stop strings, loops, the end.

Knows no model.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mistral_cli.contract import Done, Notice, TextDelta, TokenDrawn, TokenInfo, TokensDone
from mistral_cli.engine.watchdog import Watchdog
from mistral_cli.errors import ContextError
from mistral_cli.text.stream import TextStream
from mistral_cli.text.stutter import is_stutter
from mistral_cli.text.template import encode_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mistral_cli.backends.many import Request
    from mistral_cli.contract import Cancel, EngineEvent, Event, Prompt, Reason
    from mistral_cli.text.tokenizer import Tokenizer

_NEVER = threading.Event()


def open_answer(
    tokenizer: Tokenizer, request: Request, *, context: int, most: int
) -> tuple[tuple[int, ...], AnswerText]:
    """Return the ids of a prompt and what makes text of its answer.

    Args:
        tokenizer: of the model that answers.
        request: what is asked.
        context: tokens that fit, prompt and answer together.
        most: tokens that the model was made for.

    Raises:
        ContextError: no tokenizer could make the prompt fit; whether this one does is for the engine to say.
        UsageError: the chat format cannot express it.
    """
    prompt = request.prompt
    _check_length(tokenizer, prompt, context, most)
    ids = encode_prompt(tokenizer, prompt, request.tools).ids  # raises before an empty conversation is looked into
    answer = AnswerText(
        text=_text_stream(tokenizer, request.params.stop, prompt),
        stopper=Stopper(cancel=request.cancel or _NEVER),
        piece=partial(_piece, tokenizer),
        notice="" if isinstance(prompt, str) else tokenizer.notice,
        watchdog=Watchdog(partial(_stutters, tokenizer)) if request.params.watchdog else None,
    )
    return ids, answer


def _check_length(tokenizer: Tokenizer, prompt: Prompt, context: int, most: int) -> None:
    """Refuse at once what is hopeless: tokenizing a hundred megabytes takes minutes."""
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    fewest = sum(map(tokenizer.fewest_tokens, texts))
    if fewest >= context:
        raise ContextError.of_prompt(fewest, context, most=most, at_least=True)


def _text_stream(tokenizer: Tokenizer, stops: Sequence[str], prompt: Prompt) -> TextStream:
    """Return what makes text of an answer: from its start, or from where a prefix or a raw text ends."""
    if isinstance(prompt, str):
        return TextStream(tokenizer, stops, continues=True)
    last = prompt[-1]
    return TextStream.after(tokenizer, stops, last.ids, last.content) if last.prefix else TextStream(tokenizer, stops)


def _piece(tokenizer: Tokenizer, token: int) -> str:
    """Return one token as text: its bytes as UTF-8, or a control token's name."""
    data = tokenizer.piece_bytes(token)
    return data.decode(errors="replace") if data else tokenizer.piece(token)


def _stutters(tokenizer: Tokenizer, ids: Sequence[int]) -> bool:
    """Tell whether the text of a period, its first space included, is nothing to be written again and again."""
    return is_stutter(b"".join(map(tokenizer.piece_bytes, ids)).decode(errors="replace"))


@dataclass(slots=True, kw_only=True)
class Stopper:
    """The caller's cancel flag, and our own: set where a stop string was met, or a loop."""

    cancel: Cancel
    stopped: bool = False

    def is_set(self) -> bool:
        """Tell whether the answer is to end."""
        return self.stopped or self.cancel.is_set()


@dataclass(slots=True, kw_only=True)
class AnswerText:
    """Turns the engine's events of one answer into text."""

    text: TextStream
    stopper: Stopper
    """What the engine looks at."""
    piece: Callable[[int], str]
    """Returns one token as text."""
    notice: str = ""
    """Said before anything else."""
    watchdog: Watchdog | None = None
    is_loop: bool = False
    ids: list[int] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def run(self, events: Generator[EngineEvent, None, None]) -> Iterator[Event]:
        """Yield what becomes of all ``events``; whoever stops listening to us stops the engine."""
        with closing(events):
            for event in events:
                yield from self.take(event)

    def take(self, event: EngineEvent) -> Iterator[Event]:
        """Yield what becomes of the next event."""
        if self.notice:
            yield Notice(self.notice)
            self.notice = ""
        owed = self.text.owed()
        if owed:  # ids that were put behind the words of a prefix have no other place to be shown
            self.shown.append(owed)
            yield TextDelta(owed)
        if isinstance(event, TokenDrawn):
            yield self._delta(event)
        elif isinstance(event, TokensDone):
            yield from self._end(event)
        else:
            yield event

    def _delta(self, event: TokenDrawn) -> TextDelta:
        text = self.text.push(event.id)
        self.is_loop |= self.watchdog is not None and self.watchdog.push(event.id)
        self.stopper.stopped = self.is_loop or self.text.stopped is not None
        self.ids.append(event.id)
        self.shown.append(text)
        top = tuple((token, self.piece(token), logprob) for token, logprob in event.top)
        return TextDelta(text, (TokenInfo(id=event.id, text=self.piece(event.id), logprob=event.logprob, top=top),))

    def _end(self, event: TokensDone) -> Iterator[Event]:
        rest = self.text.finish()
        if rest:
            self.shown.append(rest)
            yield TextDelta(rest)
        yield Done(
            reason=self._reason(event),
            text="".join(self.shown),
            ids=tuple(self.ids),
            stop=self.text.stopped,
            prompt_tokens=event.prompt_tokens,
            reused_tokens=event.reused_tokens,
            answer_tokens=event.answer_tokens,
            seconds_to_first_token=event.seconds_to_first_token,
            tokens_per_second=event.tokens_per_second,
            seed=event.seed,
            peak_memory=event.peak_memory,
        )

    def _reason(self, event: TokensDone) -> Reason:
        if self.text.stopped is not None:
            return "stop"
        return "loop" if self.is_loop else event.reason

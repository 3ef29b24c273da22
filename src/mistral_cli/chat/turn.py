"""One question and its answer, and all that is known of how it came about. Knows no model, no file, no terminal."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.contract import Message, TokenInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistral_cli.adapting import AdapterInfo
    from mistral_cli.contract import Done, ModelInfo, Reason, SamplingParams

MARKS = {
    "cancelled": "stopped",
    "length": "cut off at the limit",
    "loop": "stopped: it repeated itself",
}
"""What a reader is told of an answer that did not end by itself, by its reason."""


def now() -> str:
    """Return the wall clock's time in UTC, as ISO 8601 has it. For people alone: it may jump."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """How an answer came about."""

    params: Mapping[str, object] = field(default_factory=dict)
    """The sampling parameters, by name."""
    model: str = ""
    identity: str = ""
    """Where the model's files are; of a hub model this holds the commit."""
    quantization: str = "none"
    adapters: tuple[AdapterInfo, ...] = ()
    """What was on the model."""
    context: int = 0
    """Tokens that fitted, prompt and answer together."""
    left_out: int = 0
    """How many of the oldest turns were left out of the prompt, because the context was full."""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    answer_tokens: int = 0
    """Of the whole answer."""
    begun_tokens: int = 0
    """Of the answer, those that were there already where it was gone on from; times and speed are of the others."""
    seconds_to_first_token: float = 0.0
    tokens_per_second: float = 0.0
    seed: int = 0
    when: str = ""
    """When the answer ended, in UTC: ``2026-01-31T12:00:00Z``."""

    @classmethod
    def of(
        cls, done: Done, params: SamplingParams, info: ModelInfo, *, begun: int = 0, left_out: int = 0
    ) -> TurnRecord:
        """Return the record of the answer that ended now, ``begun`` tokens of which were a part of its prompt."""
        prompt_tokens = max(done.prompt_tokens - begun, 0)
        return cls(
            params=asdict(params),
            model=info.name,
            identity=info.path,
            quantization=info.quantization,
            adapters=info.adapters,
            context=info.context,
            left_out=left_out,
            prompt_tokens=prompt_tokens,
            reused_tokens=min(done.reused_tokens, prompt_tokens),
            answer_tokens=begun + done.answer_tokens,
            begun_tokens=begun,
            seconds_to_first_token=done.seconds_to_first_token,
            tokens_per_second=done.tokens_per_second,
            seed=done.seed,
            when=now(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its answer, after ``parent``."""

    id: int = 0
    """Unique in the store; negative while it is in none, 0 while it is in no conversation."""
    parent: int | None = None
    """The turn before it; None for a first one."""
    question: str
    answer: str
    ids: tuple[int, ...] = ()
    """The very ids of the answer, so that the model's cache fits at the next turn."""
    reason: Reason = "stop"
    """Why the answer ended: ``cancelled`` marks one that Ctrl-C cut short."""
    tokens: tuple[TokenInfo, ...] = ()
    """The answer's tokens with what else was likely there; empty where that was not asked for."""
    system: str = ""
    """The system prompt in force."""
    record: TurnRecord = field(default_factory=TurnRecord)

    def messages(self) -> tuple[Message, Message]:
        """Return the turn as a model is sent it."""
        question = Message(role="user", content=self.question)
        return question, Message(role="assistant", content=self.answer, ids=self.ids)

"""The bridge between the text tower and the tensor tower: messages and parameters in, events out.

Plain data and protocols only. Nothing here imports torch, opens a file or prints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from mistral_cli.adapting import AdapterInfo  # noqa: TC001 (a field of what hints are read of)
from mistral_cli.errors import UsageError
from mistral_cli.limits import LIMITS

Role = Literal["system", "user", "assistant", "tool"]
Order = Literal["temperature-first", "temperature-last"]
Reason = Literal["stop", "length", "cancelled", "loop"]
"""Why an answer ended: EOS or a stop string; the token limit or the context; the user; the loop watchdog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a function that the assistant asked for; ``arguments`` is JSON text."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    prefix: bool = False
    """The last, assistant message: the answer goes on from these words."""
    ids: tuple[int, ...] = ()
    """The very ids the model wrote for this assistant message (no EOS), so that the cache of the next turn fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the assistant may call; ``parameters`` is a JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the next token is drawn and when an answer ends. Valid once built.

    Raises:
        UsageError: a value outside its range in ``LIMITS``; the message names the flag and the range.
    """

    temperature: float = 0.7
    """0 picks the likeliest token; higher is more varied."""
    top_p: float = 0.95
    """Keep the smallest set of tokens whose probability reaches this; 1 keeps all."""
    top_k: int = 0
    """Keep this many likeliest tokens; 0 keeps all."""
    min_p: float = 0.0
    """Keep tokens at least this fraction as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """Divide the logits of tokens seen in prompt or answer (sign-aware); 1 is off."""
    presence_penalty: float = 0.0
    """Subtract once from the logits of tokens of the answer."""
    frequency_penalty: float = 0.0
    """Subtract for each time a token stands in the answer."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Token id -> number added to its logit."""
    seed: int | None = None
    """The same seed gives the same answer; None draws a fresh one, which the last event tells."""
    max_tokens: int | None = None
    """Answer tokens at most; None: until EOS or the end of the context."""
    stop: tuple[str, ...] = ()
    """Strings that end the answer and are not part of it."""
    order: Order = "temperature-first"
    """Whether temperature is applied before top_k, top_p and min_p (Mistral's own, vLLM) or after (llama.cpp)."""
    logprobs: int | None = None
    """Report the drawn token's log-probability and those of this many likeliest; None: neither."""
    watchdog: bool = False
    """End an answer that says the same over and over, for the reason ``loop``."""

    def __post_init__(self) -> None:
        """Check every value against ``LIMITS``."""
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            may_be_none = name in ("seed", "max_tokens", "logprobs")
            if not (may_be_none if value is None else limit.allows(value)):
                kind = "a whole number, " if limit.whole and isinstance(value, float) else ""
                raise UsageError(f"--{name.replace('_', '-')} is {value!s:.40}, but must be {kind}{limit}.")
        if self.order not in ("temperature-first", "temperature-last"):
            raise UsageError(f"--order is {self.order!r}, but must be temperature-first or temperature-last.")
        if isinstance(self.stop, str):  # or each of its characters would end the answer
            raise UsageError(f"--stop is {self.stop!r:.40}, but must be a tuple of strings.")
        if any(not text for text in self.stop):
            raise UsageError("--stop is empty, but must hold at least one character.")
        for token, bias in self.logit_bias.items():
            if token < 0 or not math.isfinite(bias):
                raise UsageError(f"--logit-bias {token}={bias}: the token must be 0 or more and the bias finite.")

    def with_values(self, values: Mapping[str, object]) -> SamplingParams:
        """Return a copy with ``values`` (name -> value) in place of its own; checked again."""
        return replace(self, **values)  # type: ignore[arg-type]


class Cancel(Protocol):
    """A flag that another thread or a signal handler sets; ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Tell whether to stop now."""
        ...


# -- events: engine -> back end -> whoever shows them ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """How much of the prompt has been read; ``reused`` tokens came from the cache of the last turn."""

    done: int
    total: int
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know and the answer does not hold, for stderr."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """One token of the answer. ``text`` is its own piece; log-probabilities only if ``logprobs`` was asked."""

    id: int
    text: str = ""
    logprob: float | None = None
    top: tuple[tuple[int, str, float], ...] = ()
    """The likeliest tokens there: (id, text, log-probability), likeliest first."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer: the texts of all deltas, joined, are the answer.

    ``text`` may be empty (half a character, or the beginning of a stop string) while ``tokens`` holds what was drawn.
    """

    text: str
    tokens: tuple[TokenInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The last event of every answer."""

    reason: Reason
    text: str
    """The whole answer."""
    ids: tuple[int, ...] = ()
    """The ids drawn, without EOS."""
    stop: str | None = None
    """The stop string that ended it."""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    """Prompt tokens that were in the cache already."""
    answer_tokens: int = 0
    """Ids drawn, EOS among them."""
    seconds_to_first_token: float = 0.0
    """From the request to the first id."""
    tokens_per_second: float = 0.0
    """Decoding speed: ids after the first, over the time from the first to the last. 0 where there is one id."""
    seed: int = 0
    """The seed used."""
    peak_memory: int = 0
    """Bytes: on a GPU the allocator's peak, else the process's peak resident size."""


Event = PrefillProgress | Notice | TextDelta | Done
Prompt = str | Sequence[Message]
"""Raw text that no template touches, or a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a loaded model is, for banners, statistics and ``--json``."""

    name: str
    path: str
    parameters: int
    dtype: str
    device: str
    context: int
    """Tokens that fit: prompt and answer together."""
    tokenizer: str
    """The tokenizer's version: v1 … v13, or ``template`` for a foreign chat format."""
    is_base: bool = False
    """True where the model has no chat format: it only continues text."""
    backend: str = "native"
    """Who computes: ``native``, our own engine; ``hf``, transformers."""
    quantization: str = "none"
    """How the linear layers hold their weights: ``nf4``, ``int4``, or ``none`` where they are in ``dtype``."""
    kv: str = "none"
    """How keys and values are held: ``int8``, or ``none`` where they are in ``dtype``."""
    adapters: tuple[AdapterInfo, ...] = ()
    """What is on the model beside its own weights."""


class Backend(Protocol):
    """Whatever turns a prompt into events: our own engine, transformers, or a server."""

    @property
    def info(self) -> ModelInfo:
        """Say what is loaded."""
        ...

    @property
    def defaults(self) -> Mapping[str, object]:
        """The sampling parameters that the model's own files ask for (``generation_config.json``), by name."""
        ...

    def count(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens the prompt takes, control tokens included."""
        ...

    def stream(
        self, prompt: Prompt, params: SamplingParams, *, tools: Sequence[Tool] = (), cancel: Cancel | None = None
    ) -> Iterator[Event]:
        """Answer ``prompt``; the last event is ``Done``.

        Raises:
            ContextError: the prompt does not fit; raised before anything is computed.
            UsageError: a prompt that the model's chat format cannot express.
            MistralError: the logits are not finite.
        """
        ...


# -- engine: ids in, ids out -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDrawn:
    """One id out of the engine."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensDone:
    """The engine's last event; the fields are those of ``Done``."""

    reason: Reason
    prompt_tokens: int
    reused_tokens: int
    answer_tokens: int
    seconds_to_first_token: float
    tokens_per_second: float
    seed: int
    peak_memory: int


EngineEvent = PrefillProgress | Notice | TokenDrawn | TokensDone


class Engine(Protocol):
    """Token ids in, token ids out. Keeps the cache of the last sequence for the next call."""

    @property
    def context(self) -> int:
        """Tokens that fit: prompt and answer together."""
        ...

    def generate(
        self, prompt: Sequence[int], params: SamplingParams, *, cancel: Cancel | None = None
    ) -> Iterator[EngineEvent]:
        """Yield progress while reading, then each id (EOS is not yielded), then ``TokensDone``.

        Closing the iterator ends the answer there and keeps the cache of what was drawn.

        Raises:
            ContextError: the prompt fills the context.
            MistralError: the logits are not finite; the message names the token.
        """
        ...

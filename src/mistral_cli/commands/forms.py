"""The forms of an answer: as it comes, as rendered Markdown, its first code block, or JSON. Loads no model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mistral_cli.commands.output import Target
from mistral_cli.contract import Done, ModelInfo, SamplingParams, TextDelta, TokenInfo
from mistral_cli.errors import MistralError
from mistral_cli.ui.answer import AnswerWriter
from mistral_cli.ui.confidence import TintedWriter
from mistral_cli.ui.markdown.extract import first_code_block


class Form(Protocol):
    """Takes the pieces of one answer, then its end."""

    def push(self, delta: TextDelta) -> None:
        """Take the next piece."""
        ...

    def finish(self, done: Done) -> None:
        """Take the end; everything is written when this returns."""
        ...

    def abort(self) -> None:
        """There will be no end: leave what was written in good order."""
        ...


@dataclass(slots=True, kw_only=True)
class Plain:
    """Byte for byte what the model says, and one newline."""

    target: Target
    _begun: bool = False

    def push(self, delta: TextDelta) -> None:
        """Write the next piece at once."""
        if delta.text:
            self._begun = True
            self.target.write(delta.text)

    def finish(self, done: Done) -> None:
        """Write the newline; nothing where Ctrl-C came before the first word."""
        if self._begun or done.reason != "cancelled":
            self.target.write("\n")

    def abort(self) -> None:
        """Set what follows on stderr apart from a begun answer."""
        if self._begun:
            self.target.write("\n")


@dataclass(slots=True, kw_only=True)
class Rendered:
    """Laid out for a terminal: Markdown, or text wrapped at words."""

    writer: AnswerWriter

    def push(self, delta: TextDelta) -> None:
        """Show the next piece."""
        self.writer.push(delta.text)

    def finish(self, done: Done) -> None:  # noqa: ARG002 (a Form's)
        """Show the rest."""
        self.writer.finish()

    def abort(self) -> None:
        """Show the rest."""
        self.writer.finish()


@dataclass(slots=True, kw_only=True)
class Tinted:
    """Each token tinted by its probability, for a terminal."""

    writer: TintedWriter

    def push(self, delta: TextDelta) -> None:
        """Show the next piece."""
        self.writer.push(delta)

    def finish(self, done: Done) -> None:  # noqa: ARG002 (a Form's)
        """Show the legend."""
        self.writer.finish()

    def abort(self) -> None:
        """Show the legend of what was said."""
        self.writer.finish()


@dataclass(slots=True, kw_only=True)
class Trimmed:
    """Another form without the blanks and line ends around the answer."""

    form: Form
    _begun: bool = False
    _held: str = ""
    """Blanks that are left out if nothing follows them."""

    def push(self, delta: TextDelta) -> None:
        """Pass the next piece on, but for blanks that may be the last."""
        text = self._held + delta.text if self._begun else delta.text.lstrip()
        said = text.rstrip()
        self._begun = self._begun or bool(said)
        self._held = text[len(said) :]
        self.form.push(replace(delta, text=said))

    def finish(self, done: Done) -> None:
        """Pass the end on."""
        self.form.finish(replace(done, text=done.text.strip()))

    def abort(self) -> None:
        """Pass the end on."""
        self.form.abort()


@dataclass(slots=True, kw_only=True)
class CodeBlock:
    """Only the first fenced code block of the whole answer."""

    target: Target

    def push(self, delta: TextDelta) -> None:
        """Wait: only the whole answer tells what is in the block."""

    def finish(self, done: Done) -> None:
        """Write the block.

        Raises:
            MistralError: there is none.
        """
        self.target.write(extract(done))

    def abort(self) -> None:
        """Write nothing: half a program is worse than none."""


def extract(done: Done) -> str:
    """Return the first fenced code block of an answer; empty where Ctrl-C came before it.

    Raises:
        MistralError: there is none.
    """
    block = first_code_block(done.text)
    if block is None and done.reason == "cancelled":
        return ""
    if block is None:
        hint = "Ask for one in the prompt, or drop --extract to see what it says."
        raise MistralError("The answer holds no fenced code block.", hint)
    return block


@dataclass(slots=True, kw_only=True)
class Json:
    """One object: text, tokens, reason, timings, model, parameters (and logprobs)."""

    target: Target
    describe: Callable[[Done, list[TokenInfo]], Mapping[str, Any]]
    _tokens: list[TokenInfo] = field(default_factory=list)

    def push(self, delta: TextDelta) -> None:
        """Keep what was drawn."""
        self._tokens.extend(delta.tokens)

    def finish(self, done: Done) -> None:
        """Write the object on one line."""
        self.write(self.describe(done, self._tokens))

    def write(self, value: Mapping[str, Any]) -> None:
        """Write one object on one line."""
        self.target.write(json.dumps(value, ensure_ascii=False) + "\n")

    def abort(self) -> None:
        """Write nothing: half an object is none."""


def describe(
    done: Done, tokens: list[TokenInfo], *, info: ModelInfo, params: SamplingParams, extracts: bool = False
) -> dict[str, Any]:
    """Return the object that ``--json`` prints for one answer."""
    result: dict[str, Any] = {
        "text": done.text,
        "tokens": {"prompt": done.prompt_tokens, "reused": done.reused_tokens, "answer": done.answer_tokens},
        "reason": done.reason,
        "stop": done.stop,
        "timings": {
            "seconds_to_first_token": round(done.seconds_to_first_token, 6),
            "tokens_per_second": round(done.tokens_per_second, 3),
        },
        "peak_memory": done.peak_memory,
        "model": dataclasses.asdict(info),
        "parameters": {**dataclasses.asdict(params), "seed": done.seed},
        "ids": list(done.ids),
    }
    if extracts:
        result["code"] = extract(done)
    if params.logprobs is not None:
        result["logprobs"] = [_describe_token(token) for token in tokens]
    return result


def _describe_token(token: TokenInfo) -> dict[str, Any]:
    top = [{"id": number, "text": text, "logprob": logprob} for number, text, logprob in token.top]
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "top": top}

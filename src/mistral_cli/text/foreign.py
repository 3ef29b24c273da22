"""Chat formats that are not Mistral's: the model's own Jinja template, rendered in transformers' sandbox.

The one place where a prompt is a rendered string. Control tokens that were typed are marked before rendering and
encoded as text after it, so that they stay text here too. Runs no code of the model's and imports no torch.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from jinja2 import TemplateError

from mistral_cli.errors import UsageError
from mistral_cli.text.prompt import Author, EncodedPrompt
from mistral_cli.text.vocabulary import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.contract import Message, Tool, ToolCall
    from mistral_cli.text.converted import RenderedVocabulary
    from mistral_cli.text.tokenizer import Tokenizer

_OPEN, _CLOSE, _KEPT = "\ufdd0", "\ufdd1", "\ufdd2"
"""Noncharacters, which no text can rightly hold: around a typed control token, and around the number of kept ids."""
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}{_KEPT}]")


def encode_foreign(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Tool] = (), *, finished: bool = False
) -> EncodedPrompt:
    """Encode a conversation by the model's own template.

    Args:
        tokenizer: whose ``chat.template`` is rendered.
        messages: the conversation; an assistant's message that has ids goes in as those.
        tools: passed to the template, which may leave them out.
        finished: the conversation ends with an answer. Only then are the assistant's ids told from the others'.

    Raises:
        UsageError: the template refuses the conversation, or it ends with an answer where it must not.
    """
    if not messages or (messages[-1].role == "assistant") != (finished or messages[-1].prefix):
        wanted = "the assistant's answer" if finished else "a question, or an answer to go on from (prefix)"
        raise UsageError(f"The conversation does not end with {wanted}.")
    writer = _Writer(tokenizer, tools)
    ids = writer.write(messages, add_generation_prompt=not (finished or messages[-1].prefix))
    controls = tokenizer.control_ids
    authors: list[Author] = ["control" if token in controls else "user" for token in ids]
    for at, message in enumerate(messages):
        if finished and message.role == "assistant":
            _claim(ids, authors, writer.write_before(messages[:at]), tokenizer.eos_id)
    return EncodedPrompt(ids=tuple(ids), authors=tuple(authors))


def _claim(ids: list[int], authors: list[Author], before: list[int] | None, eos_id: int) -> None:
    """Give the assistant what follows ``before``, up to and with EOS, unless the template rewrites earlier turns."""
    if before is None or ids[: len(before)] != before:
        return
    start = len(before)
    end = ids.index(eos_id, start) + 1 if eos_id in ids[start:] else len(ids)
    authors[start:end] = ["assistant"] * (end - start)


class _Writer:
    """Renders and encodes conversations in one format."""

    def __init__(self, tokenizer: Tokenizer, tools: Sequence[Tool]) -> None:
        # load_tokenizer gives every foreign format one of these two vocabularies
        self._vocabulary = cast("RenderedVocabulary", tokenizer.vocabulary)
        self._chat = tokenizer.chat
        controls = "|".join(map(re.escape, sorted(self._vocabulary.written_controls, key=len, reverse=True)))
        self._controls = re.compile(controls or "(?!)")
        self._marked = re.compile(f"{_OPEN}({controls}){_CLOSE}|{_KEPT}([0-9]+){_KEPT}|{_MARKS.pattern}")
        self._tools = [self._mark(_tool(tool)) for tool in tools]

    def write(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
        """Return the ids of a conversation."""
        from transformers.utils.chat_template_utils import render_jinja_template  # noqa: PLC0415 (0.7 s, no torch)

        chat = [self._fields(message, at) for at, message in enumerate(messages)]
        goes_on = bool(messages) and messages[-1].prefix
        try:
            (rendered,), _ = render_jinja_template(
                [chat],
                tools=self._tools or None,
                chat_template=self._chat.template,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=goes_on,
                bos_token=self._chat.bos_token,
                eos_token=self._chat.eos_token,
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise UsageError(f"The model's chat template refuses this conversation: {reason}.") from error
        return self._encode(rendered, messages)

    def write_before(self, messages: Sequence[Message]) -> list[int] | None:
        """Return the ids that ask for the answer after ``messages``; None where the template refuses to end there."""
        try:
            return self.write(messages, add_generation_prompt=True)
        except UsageError:
            return None

    def _encode(self, rendered: str, messages: Sequence[Message]) -> list[int]:
        """Encode a rendered text: in one go, but for typed control tokens and kept ids."""
        first, *rest = self._marked.split(rendered)
        ids = self._vocabulary.encode_rendered(first)
        for typed, kept, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            if typed:
                ids += _encode_middle(self._vocabulary.encode, typed)
            if kept and int(kept) < len(messages):
                ids += messages[int(kept)].ids
            ids += _encode_middle(self._vocabulary.encode_rendered, text)
        return ids

    def _fields(self, message: Message, at: int) -> dict[str, Any]:
        """Return a message as templates know it, marked."""
        content = f"{_KEPT}{at}{_KEPT}" if message.ids else self._mark(message.content)
        fields: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            fields["tool_calls"] = [self._mark(_call(call)) for call in message.tool_calls]
        for name in ("tool_call_id", "name"):
            if getattr(message, name):
                fields[name] = self._mark(getattr(message, name))
        return fields

    def _mark(self, value: Any) -> Any:
        """Return ``value`` with every control token in its texts put between marks."""
        if isinstance(value, str):
            return self._controls.sub(f"{_OPEN}\\g<0>{_CLOSE}", _MARKS.sub("", without_surrogates(value)))
        if isinstance(value, dict):
            return {key: self._mark(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._mark(part) for part in value]
        return value


def _encode_middle(encode: Callable[[str], list[int]], text: str) -> list[int]:
    """Encode what does not begin the prompt, without the space that sentencepiece puts before a text."""
    if not text:
        return []
    newline, ids = encode("\n"), encode(f"\n{text}")
    return ids[len(newline) :] if ids[: len(newline)] == newline else encode(text)


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    """Return a call with its arguments as data where they are JSON: templates write them out themselves."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

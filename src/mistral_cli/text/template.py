"""Messages become ids, and who wrote each. Never a rendered string, but for formats that are not Mistral's.

Chooses who encodes: mistral-common for Mistral's versions, the model's own template for others. Importing this costs
nothing; mistral-common comes with the first conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.text.prompt import Author, EncodedPrompt
from mistral_cli.text.tokenizer import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.contract import Message, Prompt, Tool
    from mistral_cli.text.tokenizer import Tokenizer

__all__ = ["Author", "EncodedPrompt", "encode_chat", "encode_prompt", "encode_words"]


def encode_prompt(tokenizer: Tokenizer, prompt: Prompt, tools: Sequence[Tool] = ()) -> EncodedPrompt:
    """Encode a conversation, or raw text: BOS and the text's own ids, which no template touches.

    Raises:
        UsageError: as ``encode_chat`` has it.
    """
    if not isinstance(prompt, str):
        return encode_chat(tokenizer, prompt, tools)
    ids = tokenizer.encode(prompt, bos=True)
    bos: tuple[Author, ...] = ("control",) if ids[:1] == [tokenizer.bos_id] else ()
    text: tuple[Author, ...] = ("user",)
    return EncodedPrompt(ids=tuple(ids), authors=bos + text * (len(ids) - len(bos)))


def encode_words(tokenizer: Tokenizer, text: str, *, begins: bool) -> tuple[int, ...]:
    """Encode words that are put into an answer, without the space that sentencepiece puts before a text.

    Args:
        tokenizer: of the model that goes on from them.
        text: the words, their own spaces included.
        begins: the answer begins with them, as the model itself would begin.
    """
    newline, ids = tokenizer.encode("\n"), tokenizer.encode(f"\n{text}")
    if begins or ids[: len(newline)] != newline:
        return tuple(tokenizer.encode(text))
    return tuple(ids[len(newline) :])


def encode_chat(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Tool] = (), *, finished: bool = False
) -> EncodedPrompt:
    """Encode a conversation in the tokenizer's chat format.

    Args:
        tokenizer: of the model that will read the ids.
        messages: the conversation. An assistant's message that has ``ids`` goes in as those ids and EOS; the last one
            with ``prefix`` has no EOS, and the answer goes on from it.
        tools: the functions that the assistant may call.
        finished: the conversation ends with the assistant's answer, as training wants it, not with a question.

    Raises:
        UsageError: the format cannot express the conversation, or the model has no chat format.
    """
    if tokenizer.is_base:
        raise UsageError(
            "This is a base model: it has no chat format, it only goes on from text.",
            "Use mistral gen with plain text, or name the format it was tuned for by --chat-template.",
        )
    if tokenizer.version == FOREIGN:
        from mistral_cli.text.foreign import encode_foreign  # noqa: PLC0415 (transformers' templates cost 0.7 s)

        return encode_foreign(tokenizer, messages, tools, finished=finished)
    from mistral_cli.text.reference import encode_reference  # noqa: PLC0415 (mistral-common costs 0.4 s)

    return encode_reference(tokenizer, messages, tools, finished=finished)

"""A conversation's ids, as mistral-common encodes it. Knows no model and no foreign format.

mistral-common's own ``encode_chat_completion`` does the work, so the ids are its ids. It encodes each message by one
method of its instruct tokenizer; there a scribe sits, who notes whose ids they are, puts the ids that the model itself
wrote in the place of re-encoded text, and on v1 keeps a typed ``[INST]`` from being the template's.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers import instruct
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

from mistral_cli.errors import UsageError
from mistral_cli.text.prompt import Author, EncodedPrompt
from mistral_cli.text.request import build_message, build_tool, one_line
from mistral_cli.text.tekken import TekkenVocabulary
from mistral_cli.text.vocabulary import WORD_SPACE, SentencePieceVocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistral_cli.contract import Message, Tool
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.text.vocabulary import Vocabulary

Span = tuple[Author, str]
"""A stretch of a turn's text, and who wrote it."""

_INSTRUCT: dict[str, type[Any]] = {
    "v1": instruct.InstructTokenizerV1,
    "v2": instruct.InstructTokenizerV2,
    "v3": instruct.InstructTokenizerV3,
    "v7": instruct.InstructTokenizerV7,
    "v11": instruct.InstructTokenizerV11,
    "v13": instruct.InstructTokenizerV13,
}


def encode_reference(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Tool] = (), *, finished: bool = False
) -> EncodedPrompt:
    """Encode a conversation as mistral-common does.

    Args:
        tokenizer: one of Mistral's versions.
        messages: the conversation; the ids of an assistant's message go in as they are.
        tools: the functions that the assistant may call.
        finished: the conversation ends with the assistant's answer, for training, not with a question.

    Raises:
        UsageError: mistral-common refuses the conversation; the message says why.
    """
    version = tokenizer.version.removesuffix("-tekken")
    scribe = _Scribe(tokenizer, _official(tokenizer.vocabulary, tokenizer.path, version), messages)
    validator = get_validator(TokenizerVersion(version), ValidationMode.finetuning if finished else ValidationMode.test)
    encoder: MistralTokenizer[Any, Any, Any, Any, Any] = MistralTokenizer(
        scribe.desk(), validator=validator, request_normalizer=get_normalizer(TokenizerVersion(version))
    )
    try:
        request = ChatCompletionRequest[Any](
            messages=[build_message(message) for message in _with_contents(messages)],
            tools=[build_tool(tool) for tool in tools] or None,
        )
        ids = encoder.encode_chat_completion(request).tokens
    except (MistralCommonException, ValueError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"The {tokenizer.version} chat format refuses this conversation: {one_line(error)}."
        ) from error
    return EncodedPrompt(ids=tuple(ids), authors=("control", *scribe.authors))


@lru_cache(maxsize=4)
def _official(vocabulary: Vocabulary, path: Path, version: str) -> Any:
    """Return mistral-common's instruct tokenizer of one version; the file's own name plays no part."""
    if isinstance(vocabulary, TekkenVocabulary):
        return _INSTRUCT[version](vocabulary.tekkenizer)
    return _INSTRUCT[version](SentencePieceTokenizer(path, TokenizerVersion(version)))


def _with_contents(messages: Sequence[Message]) -> list[Message]:
    """Give ids that make no visible text (half a character, a line's end) a text: what has none is refused or left out.

    The scribe puts the ids in its place, as the message stands alone.
    """
    runs = [list(run) for _, run in groupby(messages, lambda message: message.role)]
    lone = {id(run[0]) for run in runs if len(run) == 1 and run[0].role == "assistant" and run[0].ids}
    return [
        replace(message, content=".")
        if id(message) in lone and not message.content.strip() and not message.tool_calls
        else message
        for message in messages
    ]


class _Scribe:
    """Encodes the messages of one conversation in the instruct tokenizer's stead, and keeps the record."""

    def __init__(self, tokenizer: Tokenizer, official: Any, messages: Sequence[Message]) -> None:
        self.authors: list[Author] = []
        """Who wrote each id after the BOS."""
        self._tokenizer = tokenizer
        self._official = official
        # Neighbouring messages of the assistant are merged into one: only a message alone keeps its ids.
        runs = [list(run) for role, run in groupby(messages, lambda message: message.role) if role == "assistant"]
        self._kept = iter([run[0].ids if len(run) == 1 else () for run in runs])

    def desk(self) -> Any:
        """Return a copy of the instruct tokenizer that brings each message to this scribe."""
        desk = copy.copy(self._official)
        for method in (
            self.encode_system_message,
            self.encode_user_message,
            self.encode_assistant_message,
            self.encode_tool_message,
            self.decode,
        ):
            setattr(desk, method.__name__, method)
        return desk

    def decode(self, **_: object) -> str:
        """Return nothing: mistral-common writes every prompt out as text once more, which nobody reads."""
        return ""

    def encode_system_message(self, message: Any) -> Any:
        """Encode a system message (v7 and later)."""
        ids, media = self._official.encode_system_message(message)
        self._note(ids, "system")
        return ids, media

    def encode_tool_message(self, message: Any, is_before_last_user_message: bool) -> Any:
        """Encode the result of a call."""
        ids, *media = self._official.encode_tool_message(message, is_before_last_user_message)
        self._note(ids, "tool")
        return ids, *media

    def encode_assistant_message(self, message: Any, is_before_last_user_message: bool) -> list[int]:
        """Encode an answer, or put the model's own ids in its place.

        v2 leaves calls before the last question out; so they stay out.
        """
        ids: list[int] = self._official.encode_assistant_message(message, is_before_last_user_message)
        kept = next(self._kept)
        if kept and ids:
            ids = [*kept, *([] if message.prefix else [self._tokenizer.eos_id])]
        self.authors += ["assistant"] * len(ids)
        return ids

    def encode_user_message(
        self, message: Any, tools: Any, is_last: bool, is_first: bool, *, system_prompt: str | None, **settings: Any
    ) -> Any:
        """Encode a question, with the tools and the system prompt that some versions put into the same turn."""
        ids, *media = self._official.encode_user_message(
            message, tools, is_last, is_first, system_prompt=system_prompt, **settings
        )
        is_v1 = self._tokenizer.version == "v1"
        begin, end = ("[INST] ", " [/INST]") if is_v1 else ("", "")
        system = f"{system_prompt}\n\n" if system_prompt and (is_first if is_v1 else is_last) else ""
        spans: list[Span] = [("control", begin), ("system", system), ("user", message.content), ("control", end)]
        authors = self._turn_authors(ids, spans)
        if is_v1:
            ids, authors = self._keep_typed_apart(ids, authors)
        self.authors += authors
        return ids, *media

    def _turn_authors(self, ids: list[int], spans: Sequence[Span]) -> list[Author]:
        """Return who wrote each id of a user's turn; an id belongs to whoever wrote its last byte."""
        controls = self._tokenizer.control_ids
        inner = [at for at, token in enumerate(ids) if token in controls]
        start, stop = (inner[-2] + 1, inner[-1]) if inner else (0, len(ids))
        text = ids[start:stop]
        is_spaced = isinstance(self._tokenizer.vocabulary, SentencePieceVocabulary)  # one space more than was written
        read = list(accumulate((len(self._tokenizer.piece_bytes(token)) for token in text), initial=-is_spaced))[1:]
        ends = list(accumulate(len(written.encode()) for _, written in spans))
        authors: list[Author] = [spans[min(bisect_left(ends, last), len(spans) - 1)][0] for last in read]
        tools: list[Author] = ["control" if token in controls else "system" for token in ids[:start]]
        closing: list[Author] = ["control"] * (len(ids) - stop)
        return tools + authors + closing

    def _keep_typed_apart(self, ids: list[int], authors: list[Author]) -> tuple[list[int], list[Author]]:
        """Spell a user's `` [INST]`` or `` [/INST]`` otherwise than the template's, which on v1 is text as well.

        Where ``▁[`` opens one, it goes in as two pieces: the same text, and no longer the ids that end a turn.
        """
        vocabulary = self._tokenizer.vocabulary
        assert isinstance(vocabulary, SentencePieceVocabulary)  # noqa: S101 (v1 has no other kind)
        markers = vocabulary.encode("[INST]"), vocabulary.encode("[/INST]")
        apart = [vocabulary.find(WORD_SPACE), vocabulary.find("[")]
        mended: list[int] = []
        mended_authors: list[Author] = []
        for at, token in enumerate(ids):
            is_typed = token == markers[0][0] and any(
                ids[at : at + len(marker)] == marker and set(authors[at : at + len(marker)]) == {"user"}
                for marker in markers
            )
            pieces = apart if is_typed else [token]
            mended += pieces
            mended_authors += [authors[at]] * len(pieces)
        return mended, mended_authors

    def _note(self, ids: Sequence[int], author: Author) -> None:
        controls = self._tokenizer.control_ids
        self.authors += ["control" if token in controls else author for token in ids]

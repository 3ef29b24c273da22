"""Vocabularies for chat formats that are not Mistral's: ``tokenizer.json``, or an official file with tokens added.

Such a format is rendered as one string in which control tokens are written out, so these two can also read those
(``encode_rendered``). Knows no template.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tokenizers import Tokenizer as FastTokenizer

from mistral_cli.errors import CheckpointError
from mistral_cli.text.stream import TextStream
from mistral_cli.text.vocabulary import NO_TOKEN, WORD_SPACE, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mistral_cli.text.tokenizer_files import ChatFiles

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class RenderedVocabulary(Vocabulary, Protocol):
    """A vocabulary that can read what a template has rendered."""

    @property
    def written_controls(self) -> Mapping[str, int]:
        """Tokens that a rendered text may hold in writing, and their ids."""
        ...

    def encode_rendered(self, text: str) -> list[int]:
        """Return the ids of a rendered text, in which written control tokens become their ids."""
        ...


class AddedTokens:
    """An official vocabulary with the tokens that ``tokenizer_config.json`` adds behind its end.

    Raises:
        CheckpointError: the folder names an EOS token that is in neither.
    """

    def __init__(self, base: Vocabulary, chat: ChatFiles) -> None:
        self._base = base
        own = {base.piece(token): token for token in base.control_ids}
        self.written_controls: Mapping[str, int] = own | dict(chat.added)
        self._texts = {token: text for text, token in self.written_controls.items()}
        self.size = max([base.size, *(token + 1 for token in self._texts)])
        self.control_ids = frozenset(self._texts)
        self.bos_id = _find_token(self.written_controls, chat.bos_token, base.bos_id)
        self.eos_id = _find_token(self.written_controls, chat.eos_token, base.eos_id)
        self.replaces_each_byte = base.replaces_each_byte
        self._written = _any_of(self.written_controls)

    @property
    def longest(self) -> int:
        """The most characters in one piece."""
        return self._base.longest

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; nothing in it becomes a control id."""
        return self._base.encode(text)

    def encode_rendered(self, text: str) -> list[int]:
        """Return the ids of a rendered text, in which written control tokens become their ids."""
        ids: list[int] = []
        for part in self._written.split(text):
            token = self.written_controls.get(part)
            ids += self._base.encode(part) if token is None else [token]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; control ids have none."""
        return _decode(self, ids)

    def piece(self, token: int) -> str:
        """Return the piece as the vocabulary writes it, for showing."""
        return self._texts.get(token) or self._base.piece(token)

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes of ``token``; none for a control id."""
        return b"" if token in self.control_ids else self._base.piece_bytes(token)

    def has_word_space(self, token: int) -> bool:
        """Tell whether the piece opens with a space that is dropped at the start of a text."""
        return token not in self.control_ids and self._base.has_word_space(token)


class ConvertedVocabulary:
    """A ``tokenizer.json``, read by the ``tokenizers`` library.

    Raises:
        CheckpointError: the file is not one, or lacks the EOS token that the folder names.
    """

    replaces_each_byte = True

    def __init__(self, path: Path, chat: ChatFiles) -> None:
        data = _read(path)
        self._fast = _build(path, data)
        # The same without added tokens: whatever is typed stays text.
        self._plain = _build(path, {**data, "added_tokens": [], "post_processor": None})
        added = [entry for entry in data.get("added_tokens") or [] if isinstance(entry, dict)]
        self.written_controls: Mapping[str, int] = {entry["content"]: entry["id"] for entry in added}
        self.control_ids = frozenset(entry["id"] for entry in added if entry.get("special"))
        decoder = json.dumps(data.get("decoder"))
        self._is_byte_level = '"ByteLevel"' in decoder
        self._strips_space = '"Strip"' in decoder
        self.size: int = max([self._fast.get_vocab_size(), *(token + 1 for token in self.written_controls.values())])
        self.bos_id = self._find_bos(chat, data)
        self.eos_id = _find_token(self.written_controls, chat.eos_token, self.written_controls.get("</s>", NO_TOKEN))

    def _find_bos(self, chat: ChatFiles, data: Mapping[str, Any]) -> int:
        """Return the BOS token where sequences begin with one: as the folder says, else as the file's own rule does."""
        bos = _find_token(self.written_controls, chat.bos_token, self.written_controls.get("<s>", NO_TOKEN))
        begins = chat.adds_bos
        if begins is None and data.get("post_processor") is not None:
            begins = bos in self._fast.encode("", add_special_tokens=True).ids
        return NO_TOKEN if begins is False else bos

    @cached_property
    def _pieces(self) -> list[str]:
        return [self._fast.id_to_token(token) or "" for token in range(self.size)]

    @cached_property
    def _bytes(self) -> list[bytes]:
        read = _from_byte_level if self._is_byte_level else _from_pieces
        written = {token: text.encode() for text, token in self.written_controls.items()}
        table = [written.get(token) or read(piece) for token, piece in enumerate(self._pieces)]
        for token in self.control_ids:
            table[token] = b""
        return table

    @cached_property
    def longest(self) -> int:
        """The most characters in one piece."""
        return max(map(len, self._pieces))

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; nothing in it becomes a control id."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def encode_rendered(self, text: str) -> list[int]:
        """Return the ids of a rendered text, in which written control tokens become their ids."""
        ids: list[int] = self._fast.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; control ids have none."""
        return _decode(self, ids)

    def piece(self, token: int) -> str:
        """Return the piece as the file writes it."""
        return self._pieces[token] if 0 <= token < self.size else f"<{token}>"

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes of ``token``; none for a control id or one beyond the vocabulary."""
        return self._bytes[token] if 0 <= token < self.size else b""

    def has_word_space(self, token: int) -> bool:
        """Tell whether the piece opens with a space that is dropped at the start of a text."""
        return self._strips_space and self.piece(token).startswith(WORD_SPACE)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.", "Download it again.") from error
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise CheckpointError(f"{path} is not a tokenizer: there is no model in it.", "Download it again.")
    return data


def _build(path: Path, data: Mapping[str, Any]) -> FastTokenizer:
    try:
        return FastTokenizer.from_buffer(json.dumps(data).encode())
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} cannot be read as a tokenizer: {reason}.", "Download it again.") from error


def _find_token(written: Mapping[str, int], text: str, default: int) -> int:
    """Return the id of a token that the folder names, or ``default`` where it names none."""
    token = written.get(text) if text else default
    if token is None:
        raise CheckpointError(f"The tokenizer's files name {text!r}, but the vocabulary has no such control token.")
    return token


def _any_of(texts: Mapping[str, int]) -> re.Pattern[str]:
    """Return a pattern that captures any of ``texts``, the longest first."""
    return re.compile(f"({'|'.join(map(re.escape, sorted(texts, key=len, reverse=True)))})")


def _decode(vocabulary: Vocabulary, ids: Sequence[int]) -> str:
    stream = TextStream(vocabulary)
    return "".join(map(stream.push, ids)) + stream.finish()


def _from_pieces(piece: str) -> bytes:
    """Return the bytes of a piece of sentencepiece's kind."""
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte.group(1), 16)]) if byte else piece.replace(WORD_SPACE, " ").encode()


def _from_byte_level(piece: str) -> bytes:
    """Return the bytes of a piece of GPT-2's kind, where each byte is written as one printable character."""
    return bytes(_BYTE_OF[char] for char in piece if char in _BYTE_OF)


def _byte_level_alphabet() -> dict[str, int]:
    """Return GPT-2's character -> byte (``bytes_to_unicode`` of its encoder.py, read backwards)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_level_alphabet()

"""Text to ids and ids to bytes, for one tokenizer file. Knows no chat format and no version.

``Vocabulary`` is what the rest of ``text`` works with; the kinds are sentencepiece (here), tekken (``tekken.py``) and
the converted files of other projects (``converted.py``).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sentencepiece import SentencePieceProcessor

from mistral_cli.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

WORD_SPACE = "\u2581"
"""What sentencepiece writes for a space."""
NO_TOKEN = -1
"""The id of a BOS or EOS that a vocabulary does not have, as sentencepiece says it."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Return ``text`` with U+FFFD for every lone surrogate (what is left of bytes that were no UTF-8).

    Two that make a pair become the one character they spell, as tiktoken has it.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _SURROGATE.search(text) else text


class Vocabulary(Protocol):
    """The pieces of one tokenizer."""

    def __hash__(self) -> int:
        """Vocabularies are told apart by identity."""
        ...

    @property
    def size(self) -> int:
        """Ids run from 0 to ``size - 1``."""
        ...

    @property
    def bos_id(self) -> int:
        """The id that begins every sequence; ``NO_TOKEN`` where none does."""
        ...

    @property
    def eos_id(self) -> int:
        """The id that ends an answer; ``NO_TOKEN`` where only the model's ``generation_config.json`` names one."""
        ...

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that no text can give and that have no text."""
        ...

    @property
    def replaces_each_byte(self) -> bool:
        """Whether invalid UTF-8 decodes to one U+FFFD for each byte, not for each sequence."""
        ...

    @property
    def longest(self) -> int:
        """No id stands for more characters than this."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, which holds no lone surrogate; nothing in it becomes a control id."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``."""
        ...

    def piece(self, token: int) -> str:
        """Return the piece as the vocabulary writes it, for showing."""
        ...

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes that ``token`` stands for; none for a control id."""
        ...

    def has_word_space(self, token: int) -> bool:
        """Tell whether the piece opens with a space that is dropped at the start of a text."""
        ...


class SentencePieceVocabulary:
    """One of Mistral's sentencepiece files: 32,000 or 32,768 pieces with byte fallback.

    Raises:
        CheckpointError: the file is no sentencepiece model.
    """

    replaces_each_byte = True

    def __init__(self, path: Path) -> None:
        try:
            self._model = SentencePieceProcessor(model_proto=path.read_bytes())
        except (RuntimeError, OSError) as error:
            raise CheckpointError(
                f"{path} is not a sentencepiece tokenizer, or is cut short.", "Download it again."
            ) from error
        self.size: int = self._model.get_piece_size()
        self.bos_id: int = self._model.bos_id()
        self.eos_id: int = self._model.eos_id()

    @cached_property
    def _pieces(self) -> list[str]:
        return [self._model.id_to_piece(token) for token in range(self.size)]

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids of type CONTROL: ``<s>``, ``</s>`` and, from v2 on, ``[INST]`` and its like."""
        return frozenset(token for token in range(self.size) if self._model.is_control(token))

    @cached_property
    def _bytes(self) -> list[bytes]:
        """Id -> bytes: a word space is a space, ``<0xNN>`` a byte, a control piece nothing."""
        table = [piece.replace(WORD_SPACE, " ").encode() for piece in self._pieces]
        for token in self.control_ids:
            table[token] = b""
        for token in range(self.size):
            if self._model.is_byte(token):
                table[token] = bytes([int(self._pieces[token][3:5], 16)])
        unknown = self._model.unk_id()
        table[unknown] = self._model.decode([unknown]).encode()  # " ⁇ ", as sentencepiece spells it
        return table

    @cached_property
    def _plain(self) -> list[bool]:
        """Id -> whether it is a piece of text, neither a byte nor unknown."""
        return [
            not (self._model.is_byte(token) or self._model.is_unknown(token) or token in self.control_ids)
            for token in range(self.size)
        ]

    @cached_property
    def longest(self) -> int:
        """The most characters in one piece."""
        return max(map(len, self._pieces))

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; sentencepiece puts a space before it."""
        ids: list[int] = self._model.encode(text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without the space that ``encode`` put before it."""
        text: str = self._model.decode(self._known(ids))
        return text

    def piece(self, token: int) -> str:
        """Return the piece, spaces written ``▁``, single bytes ``<0xNN>``."""
        return self._pieces[token] if 0 <= token < self.size else f"<{token}>"

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes of ``token``; none for one beyond the vocabulary (a model's padded embedding)."""
        return self._bytes[token] if 0 <= token < self.size else b""

    def has_word_space(self, token: int) -> bool:
        """Tell whether ``token`` is a piece of text that opens with ``▁``."""
        return 0 <= token < self.size and self._plain[token] and self._pieces[token].startswith(WORD_SPACE)

    def find(self, piece: str) -> int:
        """Return the id of ``piece``."""
        token: int = self._model.piece_to_id(piece)
        return token

    def _known(self, ids: Iterable[int]) -> list[int]:
        return [token for token in ids if 0 <= token < self.size]

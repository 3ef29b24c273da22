"""Mistral's tekken vocabularies: byte-level pieces in a JSON file. Knows no chat format.

mistral-common reads and encodes; what stands here makes it quicker to load and keeps it from failing on a million
blanks in a row.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, cast

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from mistral_cli.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLANK = "[ \t\x0b\x0c\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LONG = 10_000
_BLANKS = re.compile(rf"(?<!{_BLANK}){_BLANK}{{{_LONG},}}+(?![\r\n])")
"""A run that the vocabulary's ``\\s+(?!\\S)`` may be unable to backtrack over: its stack ends at a million."""


class PatientTekkenizer(Tekkenizer):
    """mistral-common's tokenizer with the same ids for every text, and ids where that one gives up."""

    @property
    def longest(self) -> int:
        """The most bytes in one piece."""
        return max(map(len, self._tekken_token2id_nospecial))

    def id_to_piece(self, token_id: int) -> str:
        """Return one piece; asked for each of 131,072 ids while loading, so it takes the short way."""
        if token_id < self.num_special_tokens:
            return str(self._all_special_tokens[token_id]["token_str"])
        return self._model.decode_single_token_bytes(token_id - self.num_special_tokens).decode(errors="replace")

    def encode(self, s: str, bos: bool, eos: bool) -> list[int]:
        """Return the ids of ``s``, cut at runs of blanks that are too long for the regular expression.

        The expression gives such a run one match of its own, without its last blank where a word follows: so
        cutting there changes no id.
        """
        if len(s) < _LONG:
            return super().encode(s, bos, eos)
        ids, start = [self.bos_id] if bos else [], 0
        for run in _BLANKS.finditer(s):
            end = run.end() if run.end() == len(s) else run.end() - 1
            ids += super().encode(s[start : run.start()], bos=False, eos=False)
            single = self._model._encode_single_piece(s[run.start() : end])  # there is no public way round the pattern
            ids += [token + self.num_special_tokens for token in single]
            start = end
        return ids + super().encode(s[start:], bos=False, eos=eos)


class TekkenVocabulary:
    """A ``tekken.json``: 131,072 pieces, the first thousand of them control tokens.

    Raises:
        CheckpointError: the file is not a tekken vocabulary, or contradicts itself.
    """

    replaces_each_byte = False

    def __init__(self, path: Path) -> None:
        try:
            self.tekkenizer = cast("PatientTekkenizer", PatientTekkenizer.from_file(path))
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(f"{path} cannot be read as a tekken tokenizer: {reason}.") from error
        self.size: int = self.tekkenizer.n_words
        self.bos_id: int = self.tekkenizer.bos_id
        self.eos_id: int = self.tekkenizer.eos_id
        self.said_version: str = self.tekkenizer.version.value
        """``config.version`` of the file."""
        self.control_ids = frozenset(self.tekkenizer.special_ids)

    @cached_property
    def longest(self) -> int:
        """The most bytes, so at least the most characters, in one piece."""
        return self.tekkenizer.longest

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``."""
        return self.tekkenizer.encode(text, bos=False, eos=False)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; control ids have none."""
        return self.tekkenizer.decode([token for token in ids if 0 <= token < self.size])

    def piece(self, token: int) -> str:
        """Return the piece as text; bytes that are no whole character as ``<0xNN>``."""
        if not 0 <= token < self.size:
            return f"<{token}>"
        if token in self.control_ids:
            return self.tekkenizer.id_to_piece(token)
        data = self.piece_bytes(token)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "".join(f"<0x{byte:02X}>" for byte in data)

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes of ``token``; none for a control id or one beyond the vocabulary."""
        return self.tekkenizer.id_to_byte_piece(token) if 0 <= token < self.size else b""

    def has_word_space(self, token: int) -> bool:  # noqa: ARG002 (tekken puts no space before a text)
        """Tell False: every space of a tekken text is its own."""
        return False

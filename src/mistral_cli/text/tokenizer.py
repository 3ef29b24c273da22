"""The tokenizer of a model: its vocabulary, the version of its chat format and how that was found.

Reads files; knows no tensors, no messages and no terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.text.tokenizer_files import (
    CONVERTED,
    ChatFiles,
    find_tokenizer_file,
    read_chat_files,
    refuse_stand_in,
)
from mistral_cli.text.versions import Signs, chosen_version, find_version
from mistral_cli.text.vocabulary import NO_TOKEN, SentencePieceVocabulary, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistral_cli.text.vocabulary import Vocabulary

FOREIGN = "template"
"""The version of a tokenizer whose chat format is the model's own Jinja template."""
PLAIN = "none"
"""The version of a base model's tokenizer that is none of Mistral's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """Ids to text and back, and which chat format is written with them. Built by ``load_tokenizer``."""

    vocabulary: Vocabulary
    version: str
    """``v1`` … ``v13``, ``template`` for a foreign chat format, ``none`` for a base model's own vocabulary."""
    found_by: str
    """How the version was found, in words."""
    path: Path
    """The file of the vocabulary."""
    is_base: bool = False
    """Whether the model has no chat format and only goes on from text."""
    chat: ChatFiles = field(default_factory=ChatFiles)
    """What the model's own files say of its chat format; a foreign format is read from here."""

    @property
    def notice(self) -> str:
        """What the user should be told about the chat format, one line; empty for Mistral's own."""
        if self.is_base:
            return "This is a base model: it has no chat format, so the text is sent as it is."
        if self.version == FOREIGN:
            return f"The chat format is the model's own template ({self.path.name}), not one of Mistral's."
        return ""

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to ``vocab_size - 1``."""
        return self.vocabulary.size

    @property
    def bos_id(self) -> int:
        """The id that begins every sequence; ``NO_TOKEN`` where none does."""
        return self.vocabulary.bos_id

    @property
    def eos_id(self) -> int:
        """The id that ends an answer; ``NO_TOKEN`` where the tokenizer's files name none."""
        return self.vocabulary.eos_id

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that no text can give and that have no text of their own."""
        return self.vocabulary.control_ids

    @property
    def replaces_each_byte(self) -> bool:
        """Whether invalid UTF-8 decodes to one U+FFFD for each byte, not for each sequence."""
        return self.vocabulary.replaces_each_byte

    def encode(self, text: str, bos: bool = False) -> list[int]:
        """Return the ids of ``text``; control tokens typed in it stay text, lone surrogates become U+FFFD."""
        ids = self.vocabulary.encode(without_surrogates(text))
        return [self.bos_id, *ids] if bos and self.bos_id != NO_TOKEN else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; control ids have none."""
        return self.vocabulary.decode(ids)

    def piece(self, token: int) -> str:
        """Return the piece as the vocabulary writes it, for showing."""
        return self.vocabulary.piece(token)

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes that ``token`` stands for; none for a control id."""
        return self.vocabulary.piece_bytes(token)

    def has_word_space(self, token: int) -> bool:
        """Tell whether the piece opens with a space that is dropped at the start of a text."""
        return self.vocabulary.has_word_space(token)

    def fewest_tokens(self, text: str) -> int:
        """Return a number of ids that ``text`` cannot go below, at once, so that the hopeless is refused unread."""
        return -(-len(text) // self.vocabulary.longest)


def load_tokenizer(path: Path, *, template: str | None = None) -> Tokenizer:
    """Load the tokenizer of a model folder, or a tokenizer file.

    Args:
        path: a folder (``tekken.json``, ``tokenizer.model.vN``, ``tokenizer.model``, ``tokenizer.json``; or a
            ``config.json`` with ``mistral_cli_tokenizer``), or one file of the first three kinds.
        template: the version of the chat format to write, whatever the files say.

    Raises:
        CheckpointError: there is no tokenizer, it cannot be read, or its content contradicts its name.
        UsageError: ``template`` is unknown or does not fit the tokenizer.
    """
    chat = read_chat_files(path) if path.is_dir() else ChatFiles()
    file = find_tokenizer_file(path) if path.is_dir() else path
    converted = path / CONVERTED
    if template is None and converted.is_file() and (chat.is_foreign or file is None):
        return _load_converted(converted, chat)
    if file is None:
        raise _no_tokenizer(path, template)
    refuse_stand_in(file)
    if file.name == CONVERTED:
        raise CheckpointError(f"{file} is a converted tokenizer, not Mistral's own.", "Give the folder it is in.")
    return _load_official(file, chat, template)


def check_vocabulary(tokenizer: Tokenizer, embeddings: int) -> None:
    """Refuse a tokenizer with more ids than the model has embeddings.

    Raises:
        CheckpointError: so; the message holds both numbers.
    """
    if tokenizer.vocab_size > embeddings:
        raise CheckpointError(
            f"{tokenizer.path} has {tokenizer.vocab_size:,} pieces, but the model has embeddings for {embeddings:,}.",
            "The tokenizer belongs to another model: download both again.",
        )


def _load_official(file: Path, chat: ChatFiles, template: str | None) -> Tokenizer:
    """Load a sentencepiece or tekken file and find its version."""
    vocabulary, said = _read_vocabulary(file)
    controls = frozenset(vocabulary.piece(token) for token in vocabulary.control_ids)
    signs = Signs(path=file, pieces=vocabulary.size, controls=controls, tekken=said)
    if template is not None:
        version: str = chosen_version(signs, template)
        return Tokenizer(vocabulary=vocabulary, version=version, found_by=f"--chat-template {template}", path=file)
    found, found_by = find_version(signs)
    if chat.is_foreign:
        return _with_template(vocabulary, file, chat)
    if found is None and not chat.is_base:
        raise CheckpointError(f"{file} is not one of Mistral's tokenizers: {found_by}.", "Name one by --chat-template.")
    return Tokenizer(
        vocabulary=vocabulary, version=found or PLAIN, found_by=found_by, path=file, is_base=chat.is_base, chat=chat
    )


def _read_vocabulary(file: Path) -> tuple[Vocabulary, str | None]:
    """Return the vocabulary, and for a tekken file the version it names."""
    if file.suffix != ".json":
        return SentencePieceVocabulary(file), None
    from mistral_cli.text.tekken import TekkenVocabulary  # noqa: PLC0415 (0.4 s that sentencepiece need not pay)

    tekken = TekkenVocabulary(file)
    return tekken, tekken.said_version


def _with_template(vocabulary: Vocabulary, file: Path, chat: ChatFiles) -> Tokenizer:
    """Give an official vocabulary the tokens that a foreign chat format adds to it."""
    from mistral_cli.text.converted import AddedTokens  # noqa: PLC0415 (only where the format is foreign)

    extended = AddedTokens(vocabulary, chat)
    found_by = "a chat template of another format in tokenizer_config.json"
    return Tokenizer(vocabulary=extended, version=FOREIGN, found_by=found_by, path=file, chat=chat)


def _load_converted(file: Path, chat: ChatFiles) -> Tokenizer:
    """Load a ``tokenizer.json``, which is right where the model was trained with it."""
    from mistral_cli.text.converted import ConvertedVocabulary  # noqa: PLC0415 (only where nothing official will do)

    refuse_stand_in(file)
    vocabulary = ConvertedVocabulary(file, chat)
    if chat.template is None and not chat.is_base:
        raise CheckpointError(
            f"{file.parent} has a converted tokenizer ({CONVERTED}) and no chat template.",
            "Download tokenizer.model or tekken.json too.",
        )
    found_by = "no chat template in the folder" if chat.is_base else f"the chat template beside {CONVERTED}"
    version = PLAIN if chat.is_base else FOREIGN
    return Tokenizer(
        vocabulary=vocabulary, version=version, found_by=found_by, path=file, is_base=chat.is_base, chat=chat
    )


def _no_tokenizer(path: Path, template: str | None) -> CheckpointError | UsageError:
    if template is not None and (path / CONVERTED).is_file():
        return UsageError(
            f"--chat-template {template} needs Mistral's own tokenizer file, and {path} has only {CONVERTED}.",
            "Download tokenizer.model or tekken.json too.",
        )
    return CheckpointError(
        f"{path} has no tokenizer: no tekken.json, tokenizer.model.vN or tokenizer.model.",
        "Download it from where the model is from.",
    )

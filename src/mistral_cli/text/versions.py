"""Which of Mistral's chat formats a tokenizer was made for: read from what the file holds, never from its name alone.

mistral-common trusts the file's name, so that a v3 file called ``tokenizer.model`` writes ``[INST]`` as plain text and
a v1 file called ``tokenizer.model.v3`` writes ``<unk>``, both without a word. Knows no file format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mistral_cli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

Version = Literal["v1", "v2", "v3", "v3-tekken", "v7", "v7-tekken", "v11", "v13"]
VERSIONS: tuple[Version, ...] = get_args(Version)
"""The formats this program writes."""

_SUFFIX = re.compile(r"\.model\.(v\d+)(?:m\d+)?$")
_V1_PIECES = 32_000
_TEKKEN: dict[str, Version] = {"v3": "v3-tekken", "v7": "v7-tekken", "v11": "v11", "v13": "v13"}


@dataclass(frozen=True, slots=True)
class _Format:
    """What a tokenizer must hold for a version, and must not."""

    tekken: bool
    controls: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


_INST = ("[INST]", "[/INST]")
_SYSTEM = (*_INST, "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
_CALLS = (*_SYSTEM, "[ARGS]", "[CALL_ID]")
_FORMATS: dict[Version, _Format] = {
    "v1": _Format(tekken=False, without=_INST),
    "v2": _Format(tekken=False, controls=_INST),
    "v3": _Format(tekken=False, controls=_INST),
    "v3-tekken": _Format(tekken=True, controls=_INST),
    "v7": _Format(tekken=False, controls=_SYSTEM),
    "v7-tekken": _Format(tekken=True, controls=_SYSTEM),
    "v11": _Format(tekken=True, controls=_CALLS),
    "v13": _Format(tekken=True, controls=_CALLS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What a tokenizer file says about itself."""

    path: Path
    pieces: int
    controls: frozenset[str]
    """Its control pieces."""
    tekken: str | None = None
    """``config.version`` of a tekken file; None for sentencepiece."""


def find_version(signs: Signs) -> tuple[Version | None, str]:
    """Return the version a file's content tells, and how; None for a sentencepiece file that is not Mistral's.

    Raises:
        CheckpointError: the content contradicts the file's name or itself, or is of a version that is not known here.
    """
    if signs.tekken is not None:
        return _tekken_version(signs)
    return _sentencepiece_version(signs)


def chosen_version(signs: Signs, version: str) -> Version:
    """Return ``version`` (what ``--chat-template`` asks for) if the tokenizer has what it takes.

    Raises:
        UsageError: no such version, or the tokenizer cannot write it.
    """
    for known, wanted in _FORMATS.items():
        if known != version:
            continue
        missing = _lacks(signs, wanted)
        if missing:
            possible = ", ".join(name for name, other in _FORMATS.items() if not _lacks(signs, other))
            raise UsageError(
                f"--chat-template {version} does not fit {signs.path.name}: {missing}.",
                f"It can write {possible}." if possible else "It can write none of Mistral's formats.",
            )
        return known
    raise UsageError(f"--chat-template {version} is not a chat format known here.", f"Known are {', '.join(VERSIONS)}.")


def _sentencepiece_version(signs: Signs) -> tuple[Version | None, str]:
    match = _SUFFIX.search(signs.path.name)
    named = match.group(1) if match else ""
    version, reason = _told_by_pieces(signs)
    if version == "v3" and named == "v2":
        version, reason = "v2", f"{reason}, and the name says v2"
    if named and named != version:
        raise CheckpointError(
            f"{signs.path} is named {named}, but its content is {version or 'of another kind'}: {reason}.",
            "Download the tokenizer again, or give it the name that fits.",
        )
    return version, reason


def _told_by_pieces(signs: Signs) -> tuple[Version | None, str]:
    """Tell the version by control pieces. v2 and v3 hold the same ones; v3 is the one that is still in use."""
    count = f"{signs.pieces:,} pieces"
    if not _lacks(signs, _FORMATS["v7"]):
        return "v7", f"{count}, [SYSTEM_PROMPT] is a control piece"
    if not _lacks(signs, _FORMATS["v3"]):
        return "v3", f"{count}, [INST] is a control piece, [SYSTEM_PROMPT] is not"
    if signs.pieces == _V1_PIECES:
        return "v1", f"{count}, [INST] is no control piece"
    return None, f"{count}, [INST] is no control piece"


def _tekken_version(signs: Signs) -> tuple[Version, str]:
    said = str(signs.tekken)
    version = _TEKKEN.get(said)
    if version is None:
        raise CheckpointError(
            f"{signs.path} is a tekken tokenizer of version {said}, which this program does not know.",
            f"Known are {', '.join(VERSIONS)}.",
        )
    missing = _lacks(signs, _FORMATS[version])
    if missing:
        raise CheckpointError(
            f"{signs.path} says version {said}, but {missing}.", "The file contradicts itself: download it again."
        )
    return version, f"config.version in {signs.path.name}"


def _lacks(signs: Signs, wanted: _Format) -> str:
    """Return what keeps the tokenizer from writing a format, in words; empty where nothing does."""
    if wanted.tekken != (signs.tekken is not None):
        return f"it is not a {'tekken' if wanted.tekken else 'sentencepiece'} tokenizer"
    absent = [piece for piece in wanted.controls if piece not in signs.controls]
    if absent:
        return f"{absent[0]} is not one of its control pieces"
    extra = [piece for piece in wanted.without if piece in signs.controls]
    return f"{extra[0]} is one of its control pieces" if extra else ""

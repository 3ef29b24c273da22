"""Which names a model may have, short ones too, and which known one resembles it. Opens no file, asks no network."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILTIN = "builtin"
DEFAULT_MODEL = "mistralai/Mistral-7B-Instruct-v0.3"


@dataclass(frozen=True, slots=True)
class Alias:
    """A short name for a model that its maker published and that our own engine computes."""

    name: str
    model: str
    """The hub id."""
    about: str


ALIASES = (
    Alias("7b", DEFAULT_MODEL, "7 B, the one to begin with"),
    Alias("7b-v0.3", DEFAULT_MODEL, "7 B"),
    Alias("7b-v0.2", "mistralai/Mistral-7B-Instruct-v0.2", "7 B"),
    Alias("7b-v0.1", "mistralai/Mistral-7B-Instruct-v0.1", "7 B"),
    Alias("mathstral", "mistralai/Mathstral-7B-v0.1", "7 B, mathematics"),
    Alias("ministral", "mistralai/Ministral-8B-Instruct-2410", "8 B"),
    Alias("nemo", "mistralai/Mistral-Nemo-Instruct-2407", "12 B"),
    Alias("codestral", "mistralai/Codestral-22B-v0.1", "22 B, code"),
    Alias("small", "mistralai/Mistral-Small-24B-Instruct-2501", "24 B"),
    Alias("mixtral", "mistralai/Mixtral-8x7B-Instruct-v0.1", "8 experts of 7 B"),
    Alias("mixtral-8x22b", "mistralai/Mixtral-8x22B-Instruct-v0.1", "8 experts of 22 B"),
    Alias("7b-base", "mistralai/Mistral-7B-v0.3", "7 B, goes on from a text, does not chat"),
    Alias("7b-base-v0.1", "mistralai/Mistral-7B-v0.1", "7 B, goes on from a text, does not chat"),
    Alias("nemo-base", "mistralai/Mistral-Nemo-Base-2407", "12 B, goes on from a text, does not chat"),
    Alias("small-base", "mistralai/Mistral-Small-24B-Base-2501", "24 B, goes on from a text, does not chat"),
    Alias("mixtral-base", "mistralai/Mixtral-8x7B-v0.1", "8 experts of 7 B, goes on from a text, does not chat"),
)
"""Short names, those that chat first; of several for one model the first is the one that is shown."""

KNOWN_MODELS = (BUILTIN, *dict.fromkeys(alias.model for alias in ALIASES))
"""Published models of this architecture, for the suggestion under a mistyped name."""

_MODELS = {alias.name: alias.model for alias in ALIASES}
_SHORTEST = {alias.model: alias.name for alias in reversed(ALIASES)}

LONGEST = 200
"""Characters in a hub id, more than the hub allows (two parts of 96)."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"{_PART}(?:/{_PART})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}


def model_of(alias: str) -> str | None:
    """Return the hub id that a short name stands for, in whatever case it is written; None where it is none."""
    return _MODELS.get(alias.lower())


def alias_of(model: str) -> str | None:
    """Return the short name of a hub id; None where it has none."""
    return _SHORTEST.get(model)


def check_id(name: str) -> None:
    """Check that ``name`` can be a hub id: ``OWNER/NAME`` of letters, digits, ``-``, ``_``, ``.``.

    Raises:
        UsageError: it cannot, so that nothing outside the cache is ever looked at.
    """
    reason = _fault_of(name)
    if reason:
        shown = ascii(name if len(name) <= 60 else name[:57] + "...")
        raise UsageError(
            f"{shown} is neither a folder here nor a name a model can have: {reason}.",
            f"A model is a folder, {BUILTIN!r}, or an id like {DEFAULT_MODEL}.",
        )


def is_id(name: str) -> bool:
    """Tell whether ``name`` can be a hub id."""
    return not _fault_of(name)


def _fault_of(name: str) -> str:
    """Say what is wrong with a hub id; empty where nothing is."""
    faults = (
        (not name.strip(), "it is empty"),
        (len(name) > LONGEST, f"it has {len(name)} characters, and {LONGEST} are the most"),
        (name.startswith("-"), "it looks like an option"),
        (".." in name, "'..' leads outside"),
        (any(part.split(".")[0].lower() in _RESERVED for part in name.split("/")), "the system reserves it"),
        ("--" in name or not _ID.fullmatch(name), "an id is OWNER/NAME of letters, digits, '-', '_' and '.'"),
    )
    return next((text for is_wrong, text in faults if is_wrong), "")


def check_revision(revision: str | None) -> None:
    """Check that ``revision`` can be a branch, a tag or a commit.

    Raises:
        UsageError: it cannot.
    """
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise UsageError(
            f"--revision is {revision[:60]!a}, which no branch, tag or commit can be called.",
            "Give one that the model's page lists, such as main.",
        )


def find_closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like ``name``, the owner in front counted or not; None where none is like it."""
    spellings: dict[str, str] = {}
    for candidate in known:
        spellings.setdefault(candidate.lower(), candidate)
        spellings.setdefault(candidate.lower().rpartition("/")[2], candidate)
    for wanted in (name.lower(), name.lower().rpartition("/")[2]):
        found = difflib.get_close_matches(wanted, spellings, n=1, cutoff=0.6)
        if found:
            return spellings[found[0]]
    return None

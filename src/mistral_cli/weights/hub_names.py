"""Which names a model may have, and which known one an unknown name resembles. Opens no file, asks no network."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILTIN = "builtin"
DEFAULT_MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
KNOWN_MODELS = (
    BUILTIN,
    DEFAULT_MODEL,
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-v0.3",
    "mistralai/Mistral-7B-Instruct-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.2",
    "mistralai/Mistral-Nemo-Base-2407",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "mistralai/Ministral-8B-Instruct-2410",
    "mistralai/Mistral-Small-24B-Base-2501",
    "mistralai/Mistral-Small-24B-Instruct-2501",
    "mistralai/Mixtral-8x7B-v0.1",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
)
"""Published models of this architecture, for the suggestion under a mistyped name."""

LONGEST = 200
"""Characters in a hub id, more than the hub allows (two parts of 96)."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"{_PART}(?:/{_PART})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}


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

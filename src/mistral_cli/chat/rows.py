"""Turns and chats as rows of the store's tables, and back. Knows no database."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from mistral_cli.adapting import AdapterInfo
from mistral_cli.chat.session import Session
from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.contract import TokenInfo
from mistral_cli.settings.options import well_formed

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = ("parent", "question", "answer", "ids", "reason", "tokens", "system", "record")
_RECORD: Final = {field.name for field in fields(TurnRecord)}


def row_of(turn: Turn) -> tuple[object, ...]:
    """Return the values of ``COLUMNS``; lone surrogates, which no database takes, become U+FFFD."""
    return (
        turn.parent,
        well_formed(turn.question),
        well_formed(turn.answer),
        struct.pack(f"<{len(turn.ids)}I", *turn.ids),
        turn.reason,
        zlib.compress(json.dumps([_packed(token) for token in turn.tokens]).encode()) if turn.tokens else b"",
        well_formed(turn.system),
        json.dumps(asdict(turn.record)),
    )


def turn_of(identity: int, row: Sequence[Any]) -> Turn:
    """Return the turn whose ``COLUMNS`` are ``row``.

    Raises:
        ValueError, TypeError, KeyError, struct.error, zlib.error: the row was not written by ``row_of``.
    """
    parent, question, answer, ids, reason, tokens, system, record = row
    known = {name: value for name, value in json.loads(record).items() if name in _RECORD}
    adapters = tuple(AdapterInfo(**one) for one in known.pop("adapters", ()))
    return Turn(
        id=identity,
        parent=parent,
        question=question,
        answer=answer,
        ids=struct.unpack(f"<{len(ids) // 4}I", ids),
        reason=reason,
        tokens=tuple(map(_unpacked, json.loads(zlib.decompress(tokens)))) if tokens else (),
        system=system,
        record=TurnRecord(**known, adapters=adapters),
    )


def session_of(row: Sequence[Any]) -> Session:
    """Return the chat whose row is ``row``, the number of its turns last."""
    identity, name, system, role, leaf, model, created, changed, turns = row
    return Session(
        id=identity,
        name=name,
        system=system,
        role=role,
        leaf=leaf,
        model=model,
        created=created,
        changed=changed,
        turns=turns,
    )


def _packed(token: TokenInfo) -> list[object]:
    return [token.id, token.text, token.logprob, token.top]


def _unpacked(token: Sequence[Any]) -> TokenInfo:
    identity, text, logprob, top = token
    return TokenInfo(id=identity, text=text, logprob=logprob, top=tuple((i, word, p) for i, word, p in top))

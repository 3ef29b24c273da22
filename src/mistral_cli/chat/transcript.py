"""One line through a conversation as Markdown for people or as JSON for programs. Knows no store and no terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mistral_cli.chat.turn import MARKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.turn import Turn


def to_markdown(conversation: Conversation) -> str:
    """Return what was said as Markdown: questions quoted, answers as they were written."""
    parts = [f"System: {conversation.system}"] if conversation.system else []
    for turn in conversation.path():
        parts.append("\n".join(f"> {line}".rstrip() for line in turn.question.split("\n")))
        parts.append(turn.answer.rstrip("\n"))
        if turn.reason in MARKS:
            parts.append(f"*({MARKS[turn.reason]})*")
    return "\n\n".join(parts) + "\n"


def to_json(conversation: Conversation) -> str:
    """Return what was said as one JSON object: the messages as ``gen`` takes them, and each turn with its record."""
    path = conversation.path()
    messages = [{"role": "system", "content": conversation.system}] if conversation.system else []
    for turn in path:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    return json.dumps({"messages": messages, "turns": [_turn(turn) for turn in path]}, ensure_ascii=False) + "\n"


def _turn(turn: Turn) -> dict[str, object]:
    record = asdict(turn.record)
    record["params"] = {name: _plain(value) for name, value in turn.record.params.items()}
    return {"question": turn.question, "answer": turn.answer, "reason": turn.reason, "system": turn.system, **record}


def _plain(value: object) -> object:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else value


FORMS: Final[Mapping[str, Callable[[Conversation], str]]] = {".md": to_markdown, ".json": to_json}
"""How a file's name ends -> what is written into it."""

"""Messages in few words, for the tests of chat formats."""

from __future__ import annotations

from typing import Any

from mistral_cli.contract import Message, Tool, ToolCall

TOOLS = (Tool(name="get", description="", parameters={"type": "object", "properties": {}}),)
CALL = ToolCall(name="get", arguments='{"a": 1}', id="abcdefghi")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def said(text: str, **more: Any) -> Message:
    return Message(role="assistant", content=text, **more)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def result(text: str, call_id: str = "abcdefghi") -> Message:
    return Message(role="tool", content=text, tool_call_id=call_id, name="get")

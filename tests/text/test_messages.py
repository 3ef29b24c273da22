"""Conversations as JSON: what is read, and what is refused with its place."""

from __future__ import annotations

import json

import pytest

from mistral_cli.contract import Message, Tool, ToolCall
from mistral_cli.errors import UsageError
from mistral_cli.text.messages import build_conversation, parse_conversation

CALL = {"id": "abc123def", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}
TOOL = {"type": "function", "function": {"name": "get", "description": "d", "parameters": {"type": "object"}}}


def test_a_list_of_messages_is_a_conversation() -> None:
    data = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "r", "tool_call_id": "abc123def", "name": "get"},
        {"role": "assistant", "content": "So", "prefix": True},
    ]
    assert parse_conversation(json.dumps(data)).messages == (
        Message(role="system", content="s"),
        Message(role="user", content="u"),
        Message(role="assistant", tool_calls=(ToolCall(name="get", arguments='{"a": 1}', id="abc123def"),)),
        Message(role="tool", content="r", tool_call_id="abc123def", name="get"),
        Message(role="assistant", content="So", prefix=True),
    )


def test_an_object_carries_tools_too() -> None:
    conversation = build_conversation({"messages": [{"role": "user", "content": "u"}], "tools": [TOOL]})
    assert conversation.tools == (Tool(name="get", description="d", parameters={"type": "object"}),)


def test_arguments_may_be_an_object_or_nothing() -> None:
    for arguments, text in (({"é": 1}, '{"\\u00e9": 1}'), (None, "{}")):
        call = {"function": {"name": "f", "arguments": arguments}}
        (message,) = build_conversation([{"role": "assistant", "tool_calls": [call]}]).messages
        assert message.tool_calls[0].arguments == text


def test_text_chunks_are_joined_as_mistral_common_joins_them() -> None:
    chunks = [{"type": "text", "text": text} for text in ("a", "", "b")]
    (message,) = build_conversation([{"role": "user", "content": chunks}]).messages
    assert message.content == "a\n\nb"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("3", "must be an object"),
        ("{}", "messages must be a list"),
        ('{"messages": [], "mesages": 1}', "'mesages'"),
        ("[3]", r"messages\[0\] must be an object"),
        ('[{"role": "user"}]', r"messages\[0\].content is missing"),
        ('[{"role": "robot", "content": ""}]', r"messages\[0\].role is 'robot'"),
        ('[{"content": ""}]', r"messages\[0\].role is None"),
        ('[{"role": "user", "content": "", "contents": ""}]', "'contents'"),
        ('[{"role": "user", "content": 3}]', r"messages\[0\].content must be a string"),
        ('[{"role": "user", "content": [{"type": "image_url"}]}]', "not text"),
        ('[{"role": "assistant", "content": "", "prefix": "yes"}]', "must be true or false"),
        ('[{"role": "assistant", "tool_calls": {}}]', None),
        ('[{"role": "assistant", "tool_calls": 3}]', r"tool_calls must be a list"),
        ('[{"role": "assistant", "tool_calls": [{"function": {}}]}]', r"tool_calls\[0\].function.name is missing"),
        ('[{"role": "assistant", "tool_calls": [{"type": "x"}]}]', "must be 'function'"),
        ('{"messages": [], "tools": [{"function": {"name": "f", "parameters": 3}}]}', "must be an object"),
    ],
)
def test_what_is_not_of_this_shape_is_refused_with_its_place(text: str, says: str | None) -> None:
    if says is None:
        assert parse_conversation(text).messages == (Message(role="assistant"),)
        return
    with pytest.raises(UsageError, match=says):
        parse_conversation(text)

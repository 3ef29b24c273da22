"""Conversations as JSON: a list of messages, or an object with ``messages`` and ``tools``. Knows no tokenizer.

Only the shape is checked here, and strictly, for a misspelt key would be lost without a word; what a chat format
makes of the conversation is the format's business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from mistral_cli.contract import Message, Role, Tool, ToolCall
from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MESSAGE_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name", "prefix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages, and the functions that the assistant may call."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()


def parse_conversation(text: str) -> Conversation:
    """Read a conversation from JSON text.

    Raises:
        UsageError: it is not JSON, or not of this shape; the message says where.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageError(f"The conversation is not valid JSON: {error}.") from error
    return build_conversation(data)


def build_conversation(data: object) -> Conversation:
    """Build a conversation from JSON data; raises as ``parse_conversation`` does."""
    top = {"messages": data} if isinstance(data, list) else _object(data, "The conversation", ("messages", "tools"))
    messages = _list(top.get("messages"), "messages")
    tools = _list(top.get("tools") or [], "tools")
    return Conversation(
        messages=tuple(_message(entry, f"messages[{at}]") for at, entry in enumerate(messages)),
        tools=tuple(_tool(entry, f"tools[{at}]") for at, entry in enumerate(tools)),
    )


def _message(data: object, where: str) -> Message:
    entry = _object(data, where, _MESSAGE_KEYS)
    role = _role(entry.get("role"), f"{where}.role")
    if entry.get("content") is None and role != "assistant":
        raise UsageError(f"{where}.content is missing, but only an assistant's message can do without.")
    prefix = entry.get("prefix", False)
    if not isinstance(prefix, bool):
        raise UsageError(f"{where}.prefix is {prefix!r}, but must be true or false.")
    calls = _list(entry.get("tool_calls") or [], f"{where}.tool_calls")
    return Message(
        role=role,
        content=_content(entry.get("content"), f"{where}.content"),
        tool_calls=tuple(_call(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)),
        tool_call_id=_string(entry.get("tool_call_id"), f"{where}.tool_call_id"),
        name=_string(entry.get("name"), f"{where}.name"),
        prefix=prefix,
    )


def _role(data: object, where: str) -> Role:
    roles: tuple[Role, ...] = get_args(Role)
    for role in roles:
        if data == role:
            return role
    raise UsageError(f"{where} is {data!r}, but must be one of {', '.join(roles)}.")


def _content(data: object, where: str) -> str:
    """Return a content: a string, or a list of text chunks, joined by blank lines as mistral-common joins them."""
    if not isinstance(data, list):
        return _string(data, where)
    chunks = [_object(chunk, f"{where}[{at}]", ("type", "text")) for at, chunk in enumerate(data)]
    if any(chunk.get("type") != "text" for chunk in chunks):
        raise UsageError(f"{where} holds a chunk that is not text, and text is all that is read here.")
    texts = [_string(chunk.get("text"), f"{where}[{at}].text") for at, chunk in enumerate(chunks)]
    return "\n\n".join(filter(None, texts))


def _call(data: object, where: str) -> ToolCall:
    entry = _object(data, where, ("id", "type", "function"))
    _check_type(entry, where)
    function = _object(entry.get("function"), f"{where}.function", ("name", "arguments"))
    arguments = function.get("arguments")
    if arguments is None:
        arguments = "{}"
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments)
    return ToolCall(
        name=_name(function, f"{where}.function"),
        arguments=_string(arguments, f"{where}.function.arguments"),
        id=_string(entry.get("id"), f"{where}.id"),
    )


def _tool(data: object, where: str) -> Tool:
    entry = _object(data, where, ("type", "function"))
    _check_type(entry, where)
    function = _object(entry.get("function"), f"{where}.function", ("name", "description", "parameters", "strict"))
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise UsageError(f"{where}.function.parameters must be an object (a JSON schema).")
    return Tool(
        name=_name(function, f"{where}.function"),
        description=_string(function.get("description"), f"{where}.function.description"),
        parameters=parameters or {},
    )


def _name(function: dict[str, Any], where: str) -> str:
    name = _string(function.get("name"), f"{where}.name")
    if not name:
        raise UsageError(f"{where}.name is missing.")
    return name


def _check_type(entry: dict[str, Any], where: str) -> None:
    if entry.get("type", "function") != "function":
        raise UsageError(f"{where}.type is {entry['type']!r}, but must be 'function'.")


def _string(data: object, where: str) -> str:
    if data is not None and not isinstance(data, str):
        raise UsageError(f"{where} must be a string.")
    return data or ""


def _list(data: object, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise UsageError(f"{where} must be a list.")
    return data


def _object(data: object, where: str, keys: Iterable[str]) -> dict[str, Any]:
    """Return ``data`` if it is an object with no other keys than ``keys``."""
    if not isinstance(data, dict):
        raise UsageError(f"{where} must be an object.")
    unknown = [key for key in data if key not in keys]
    if unknown:
        raise UsageError(f"{where} has the key {unknown[0]!r}, but only {', '.join(keys)} are known.")
    return data

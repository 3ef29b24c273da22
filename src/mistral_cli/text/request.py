"""Our messages as mistral-common's, and its errors as one line. What it refuses is refused by its own checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from mistral_common.protocol.instruct.tool_calls import Function, FunctionCall, Tool, ToolCall
from pydantic import ValidationError

from mistral_cli.text.vocabulary import without_surrogates

if TYPE_CHECKING:
    from mistral_cli import contract

_MESSAGES: dict[str, type[Any]] = {
    "system": SystemMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
}


def build_message(message: contract.Message) -> Any:
    """Return mistral-common's message.

    Raises:
        ValueError: the role is unknown, or has a field that it cannot have (a user's ``prefix``).
    """
    if message.role not in _MESSAGES:
        raise ValueError(f"the role {message.role!r} is none of {', '.join(_MESSAGES)}")
    fields: dict[str, Any] = {"content": without_surrogates(message.content)}
    if message.tool_calls:
        fields["tool_calls"] = [_call(call) for call in message.tool_calls]
    for name in ("tool_call_id", "name", "prefix"):
        if getattr(message, name):
            fields[name] = getattr(message, name)
    return _MESSAGES[message.role](**fields)


def build_tool(tool: contract.Tool) -> Tool:
    """Return mistral-common's tool."""
    parameters = json.loads(without_surrogates(json.dumps(tool.parameters, ensure_ascii=False)))
    return Tool(
        function=Function(name=tool.name, description=without_surrogates(tool.description), parameters=parameters)
    )


def one_line(error: Exception) -> str:
    """Return what an error of mistral-common or pydantic says, in one line of at most 300 characters."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        text = f"{place}: {first['msg']}" if place else first["msg"]
    else:
        text = str(getattr(error, "message", "") or error) or type(error).__name__
    return " ".join(text.split())[:300].rstrip(".")


def _call(call: contract.ToolCall) -> ToolCall:
    function = FunctionCall(name=call.name, arguments=without_surrogates(call.arguments))
    return ToolCall(id=call.id, function=function) if call.id else ToolCall(function=function)

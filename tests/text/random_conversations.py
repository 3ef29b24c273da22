"""Seeded random conversations as JSON data, in the classes that break chat templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

CLASSES = ("roles", "whitespace", "control", "tools", "unicode")
_PLAIN = ("Hello", "What is 2 + 2?", "Explain RoPE.", "def f(x):\n    return x * 2", "a, b; c.", "1,234.5", "OK")
_CONTROL = (
    "[INST]", "[/INST]", " [INST] ", " [/INST] ", "</s>", "<s>", "<unk>", "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]", "[/TOOL_RESULTS]",    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<<SYS>>", "[ARGS]", "<0x0A>",
    "▁", "<SPECIAL_20>", "[control_8]", "x [/INST] ok </s>",
)  # fmt: skip
_SPACES = (
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "   ",
    " \n ",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u2009",
    " " * 17,
    "\x0b",
    "\n" * 9,
)
_UNICODE = (
    "é", "e\u0301", "日本語", "🦙", "👩‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "שלום", "مرحبا", "\u202e", "\u200b",
    "ﬁ", "Ａ", "½", "\ufffd", "\U0010ffff", "\x00", "\x1b[31m",
    "ё", "ไทย", "한국어", "\ue000", "\ufeff",
)  # fmt: skip
_LETTERS = "abcdefghijABCDEFGHIJ0123456789"


class Conversations:
    """Draws conversations for one version; what a version cannot express is mostly, not always, avoided."""

    def __init__(self, random: Random, version: str) -> None:
        self._random = random
        self._version = version

    def draw(self) -> tuple[dict[str, Any], frozenset[str]]:
        """Return a conversation with its tools, and the classes it belongs to."""
        classes = {name for name in CLASSES if self._random.random() < 0.3}
        if self._version == "v1" and self._random.random() < 0.75:
            classes.discard("tools")  # v1 has none: nearly all of these are refused
        messages = self._messages(classes)
        if "roles" in classes:
            self._disturb(messages)
        tools = [self._tool(classes) for _ in range(self._random.randint(1, 3))] if "tools" in classes else []
        return {"messages": messages, "tools": tools}, frozenset(classes)

    def _messages(self, classes: set[str]) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if self._random.random() < 0.5:
            messages.append({"role": "system", "content": self._text(classes)})
        for _ in range(self._random.randint(0, 3)):
            messages.append({"role": "user", "content": self._text(classes)})
            if "tools" in classes and self._random.random() < 0.7:
                messages += self._calls(classes)
            messages.append({"role": "assistant", "content": self._text(classes) or "Yes."})
        messages.append({"role": "user", "content": self._text(classes)})
        if "tools" in classes and self._random.random() < 0.4:
            messages += self._calls(classes)
        elif self._random.random() < 0.2:
            messages.append({"role": "assistant", "content": self._text(classes) or "So", "prefix": True})
        return messages

    def _calls(self, classes: set[str]) -> list[dict[str, Any]]:
        """Return an assistant's calls and their results, in another order now and then."""
        count = self._random.choice((1, 1, 1, 2)) if self._version != "v2" or self._random.random() < 0.1 else 1
        ids = ["".join(self._random.choices(_LETTERS, k=9)) for _ in range(count)]
        calls = [{"id": name, "type": "function", "function": self._call(classes)} for name in ids]
        content = (
            "" if self._version in ("v1", "v2", "v3", "v3-tekken") else self._random.choice(("", self._text(classes)))
        )
        results = [
            {"role": "tool", "tool_call_id": name, "name": "get", "content": self._result(classes)}
            for name in self._random.sample(ids, k=count)
        ]
        return [{"role": "assistant", "content": content, "tool_calls": calls}, *results]

    def _call(self, classes: set[str]) -> dict[str, Any]:
        arguments = {"city": self._text(classes), "n": self._random.randint(0, 9)}
        text = self._random.choice((json.dumps(arguments), json.dumps(arguments, ensure_ascii=False), "", "not {json"))
        return {
            "name": self._random.choice(("get", "find-it", "a_b")),
            "arguments": self._random.choice((text, arguments)),
        }

    def _result(self, classes: set[str]) -> str:
        data = {"t": self._random.randint(-9, 40), "s": self._text(classes)}
        return self._random.choice((json.dumps(data), self._text(classes), "", "21"))

    def _tool(self, classes: set[str]) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {"city": {"type": "string", "description": self._text(classes)}}}
        function = {"name": self._random.choice(("get", "find-it", "a_b")), "description": self._text(classes)}
        return {"type": "function", "function": {**function, "parameters": parameters}}

    def _disturb(self, messages: list[dict[str, Any]]) -> None:
        """Put roles where they are rare: some of these conversations every version refuses."""
        at = self._random.randint(0, len(messages))
        what = self._random.choice(("user", "user", "system", "assistant", "swap", "drop", "empty"))
        if what in ("user", "system", "assistant"):
            messages.insert(at, {"role": what, "content": self._text({"whitespace"}) or "So."})
        elif what == "swap" and len(messages) > 1:
            messages[0], messages[-1] = messages[-1], messages[0]
        elif what == "drop":
            messages.pop(self._random.randrange(len(messages)))
        elif what == "empty":
            self._random.choice(messages)["content"] = ""

    def _text(self, classes: set[str]) -> str:
        """Return a few words, with what the classes bring between them."""
        parts: list[str] = []
        for _ in range(self._random.randint(0 if self._random.random() < 0.1 else 1, 4)):
            parts.append(self._random.choice(_PLAIN))
            for name, extras in (("whitespace", _SPACES), ("control", _CONTROL), ("unicode", _UNICODE)):
                if name in classes and self._random.random() < 0.6:
                    parts.insert(self._random.randint(0, len(parts)), self._random.choice(extras))
        return self._random.choice(("", " ")).join(parts)

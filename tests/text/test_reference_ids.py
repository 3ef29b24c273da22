"""The ids of 5,000 random conversations a version are those of mistral-common, called on its own."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from random_conversations import CLASSES, Conversations
from tokenizer_makers import VERSIONS

from mistral_cli.errors import UsageError
from mistral_cli.text.messages import build_conversation
from mistral_cli.text.template import encode_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    from mistral_cli.text.tokenizer import Tokenizer

    Reference = MistralTokenizer[Any, Any, Any, Any, Any]

COUNT = 5_000
SLICES = 2


@pytest.mark.no_cover  # to trace 40,000 conversations doubles the time; other tests here reach the same lines
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("version", VERSIONS)
def test_random_conversations_have_the_ids_of_mistral_common(
    version: str, part: int, load: Callable[[str], Tokenizer], reference: Callable[[str], Reference]
) -> None:
    """Equal ids, or both refuse; every class at least 100 times, at least 80 % accepted."""
    tokenizer, official = load(version), reference(version)
    drawn = Conversations(Random(f"{version} {part}"), version)
    seen: Counter[str] = Counter()
    for _ in range(COUNT // SLICES):
        data, classes = drawn.draw()
        expected, ids = reference_ids(official, data), our_ids(tokenizer, data)
        assert together(version, data, ids) == expected, data
        seen.update(classes)
        seen["accepted"] += expected is not None
    assert seen["accepted"] >= 0.8 * COUNT / SLICES
    assert seen["accepted"] < COUNT / SLICES, "some must be refused"
    assert all(seen[name] >= 100 for name in CLASSES)


def reference_ids(official: Reference, data: dict[str, Any]) -> list[int] | None:
    """Return mistral-common's ids, None where it refuses."""
    try:
        request = ChatCompletionRequest.model_validate({**data, "tools": data["tools"] or None})
        ids: list[int] = official.encode_chat_completion(request).tokens
    except (MistralCommonException, ValueError, AssertionError):
        return None
    return ids


def our_ids(tokenizer: Tokenizer, data: dict[str, Any]) -> list[int] | None:
    """Return our ids, None where we refuse."""
    try:
        conversation = build_conversation(data)
        return list(encode_chat(tokenizer, conversation.messages, conversation.tools).ids)
    except UsageError:
        return None


def together(version: str, data: dict[str, Any], ids: list[int] | None) -> list[int] | None:
    """Undo v1's remedy: where a user typed ``[INST]``, read ``▁``, ``[`` as the one piece they are written for."""
    typed = any(
        marker in message["content"]
        for message in data["messages"]
        if message["role"] == "user"
        for marker in ("[INST]", "[/INST]")
    )
    if version != "v1" or not typed or ids is None:
        return ids
    joined: list[int] = []
    for at, token in enumerate(ids):
        if (
            joined
            and joined[-1] == 28705
            and token == 28792
            and (ids[at + 1] == 16289 or ids[at + 1 : at + 3] == [28748, 16289])
        ):
            joined[-1] = 733
        else:
            joined.append(token)
    return joined

"""Who wrote each id: what training is to learn, and the same conversations finished as training wants them."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import AssistantMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from random_conversations import Conversations
from talk import CALL, TOOLS, result, said, system, user
from tokenizer_makers import VERSIONS

from mistral_cli.errors import UsageError
from mistral_cli.text.messages import build_conversation
from mistral_cli.text.template import encode_chat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistral_cli.text.template import EncodedPrompt
    from mistral_cli.text.tokenizer import Tokenizer

    Reference = MistralTokenizer[Any, Any, Any, Any, Any]


def test_every_id_has_its_author(tokenizer: Tokenizer) -> None:
    encoded = encode_chat(tokenizer, (system("Sys"), user("Ask"), said("Say"), user("More")))
    texts: dict[str, str] = {}
    for author in ("system", "user", "assistant"):
        ids = [token for token, who in zip(encoded.ids, encoded.authors, strict=True) if who == author]
        texts[author] = tokenizer.decode(ids).replace("\n", "").replace(" ", "")
    assert texts == {"system": "Sys", "user": "AskMore", "assistant": "Say"}
    assert encoded.authors[0] == "control"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_tools_are_the_systems_calls_the_assistants_and_results_the_tools(
    version: str, load: Callable[[str], Tokenizer]
) -> None:
    tokenizer = load(version)
    encoded = encode_chat(tokenizer, (user("t"), said("", tool_calls=(CALL,)), result("21")), TOOLS)
    by_author = {
        author: [t for t, who in zip(encoded.ids, encoded.authors, strict=True) if who == author]
        for author in ("assistant", "tool", "system")
    }
    assert by_author["assistant"][-1] == tokenizer.eos_id
    assert tokenizer.piece(by_author["assistant"][0]) == "[TOOL_CALLS]"
    assert "21" in tokenizer.decode(by_author["tool"])
    assert tokenizer.decode(by_author["system"]).startswith('[{"type": "function"')


@pytest.mark.parametrize("version", VERSIONS)
def test_the_assistants_ids_are_exactly_its_answers_and_their_eos(
    version: str, load: Callable[[str], Tokenizer], reference: Callable[[str], Reference]
) -> None:
    """On random conversations, against mistral-common's encoding of each message by itself."""
    drawn, checked = Conversations(Random(f"authors {version}"), version), 0
    while checked < 300:
        data, _ = drawn.draw()
        expected = assistants_ids(reference(version), data)
        if expected is None:
            continue
        conversation = build_conversation(data)
        encoded = encode_chat(load(version), conversation.messages, conversation.tools)
        assert len(encoded.ids) == len(encoded.authors)
        assert runs_of_assistant(encoded) == [ids for ids in expected if ids], data
        checked += 1


def assistants_ids(official: Reference, data: dict[str, Any]) -> list[list[int]] | None:
    """Return the ids of each answer as mistral-common encodes it alone; None where it refuses the conversation."""
    try:
        request = ChatCompletionRequest.model_validate({**data, "tools": data["tools"] or None})
        official.encode_chat_completion(request)
    except (MistralCommonException, ValueError, AssertionError):
        return None
    instruct = official.instruct_tokenizer
    normal = official._instruct_request_normalizer.from_chat_completion_request(request)
    last_user = instruct.find_first_last_user(normal)[1]
    return [
        instruct.encode_assistant_message(message, at < last_user)
        for at, message in enumerate(normal.messages)
        if isinstance(message, AssistantMessage)
    ]


def runs_of_assistant(encoded: EncodedPrompt) -> list[list[int]]:
    pairs = groupby(zip(encoded.authors, encoded.ids, strict=True), lambda pair: pair[0])
    return [[token for _, token in group] for author, group in pairs if author == "assistant"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_finished_conversation_is_encoded_as_mistral_common_does_for_training(
    version: str, load: Callable[[str], Tokenizer], tokenizer_file: Callable[[str], Path]
) -> None:
    official: Reference = MistralTokenizer.from_file(tokenizer_file(version), mode=ValidationMode.finetuning)
    drawn, accepted = Conversations(Random(f"finished {version}"), version), 0
    while accepted < 150:
        data, _ = drawn.draw()
        data["messages"].append({"role": "assistant", "content": "The end."})
        try:
            request = ChatCompletionRequest.model_validate({**data, "tools": data["tools"] or None})
            expected: tuple[int, ...] | None = tuple(official.encode_chat_completion(request).tokens)
        except (MistralCommonException, ValueError, AssertionError):
            expected = None
        conversation = build_conversation(data)
        try:
            ids: tuple[int, ...] | None = encode_chat(
                load(version), conversation.messages, conversation.tools, finished=True
            ).ids
        except UsageError:
            ids = None
        if version != "v1" or "INST]" not in str(data["messages"]):
            assert ids == expected, data
            accepted += expected is not None


def test_a_finished_conversation_ends_with_the_assistants_eos(tokenizer: Tokenizer) -> None:
    encoded = encode_chat(tokenizer, (user("a"), said("b")), finished=True)
    assert (encoded.ids[-1], encoded.authors[-1]) == (tokenizer.eos_id, "assistant")
    with pytest.raises(UsageError):
        encode_chat(tokenizer, (user("a"),), finished=True)

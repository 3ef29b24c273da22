"""On the model that people meet first, in its own bfloat16: a chat that reuses its cache says what a cold one says."""

from __future__ import annotations

import pytest

from mistral_cli.backends.native import NativeBackend, load_native
from mistral_cli.contract import Done, Message, SamplingParams
from mistral_cli.weights.hub import builtin_path

GREEDY = SamplingParams(temperature=0, max_tokens=60)
CHATS = (
    ("What is a KV cache?", "And a sliding window?", "How do I set a system prompt?"),
    ("Hello!", "Who are you?", "How do I get the real model?"),
    ("How do I pipe a file into it?", "What is LoRA?", "Thank you."),
)


@pytest.fixture(scope="module")
def backends() -> tuple[NativeBackend, NativeBackend]:
    """Return one that keeps its cache, and one that is made to forget it before every turn."""
    warm, cold = (load_native(builtin_path(), name="builtin", device="cpu") for _ in range(2))
    assert warm.info.dtype == "bfloat16"
    return warm, cold


def ask(backend: NativeBackend, messages: list[Message]) -> Done:
    *_, done = backend.stream(messages, GREEDY)
    assert isinstance(done, Done)
    return done


@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("questions", CHATS, ids=lambda questions: questions[0])
def test_a_chat_that_reuses_its_cache_says_the_same(
    backends: tuple[NativeBackend, NativeBackend], questions: tuple[str, ...], system: str
) -> None:
    warm, cold = backends
    messages = [Message(role="system", content=system)] if system else []
    reused = 0
    for question in questions:
        messages.append(Message(role="user", content=question))
        cold.engine._kept.forget()
        expected, done = ask(cold, messages), ask(warm, messages)
        assert done.text == expected.text
        assert expected.reused_tokens == 0
        reused += done.reused_tokens
        messages.append(Message(role="assistant", content=done.text, ids=done.ids))
    assert reused > 0

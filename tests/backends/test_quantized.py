"""The built-in guide with weights in four bits: it answers as before, and however its prompt is read, the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mistral_cli.backends.native import NativeBackend, load_native
from mistral_cli.contract import Done, Message, SamplingParams
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import UsageError
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.weights.hub import builtin_path

GREEDY = SamplingParams(temperature=0, max_tokens=80)
ANSWERS = {
    "What is a KV cache?": "keys and values",
    "How do I set a system prompt?": "--system",
    "How do I get the real model?": "mistral pull",
    "What is LoRA?": "low-rank",
    "How do I leave the chat?": "Ctrl-D",
}
"""A question, and words that its answer cannot do without."""


@pytest.fixture(scope="module")
def backend() -> NativeBackend:
    return load_native(builtin_path(), name="builtin", device="cpu", quantize="nf4")


def read_in_chunks(backend: NativeBackend, chunk: int) -> NativeBackend:
    """Return a back end of the same model with a cache of its own."""
    engine = NativeEngine(
        backend.engine.model,
        context=backend.info.context,
        eos_ids={backend.tokenizer.eos_id},
        control_ids=backend.tokenizer.control_ids,
        chunk=chunk,
    )
    return replace(backend, engine=engine)


def ask(backend: NativeBackend, messages: list[Message]) -> Done:
    *_, done = backend.stream(messages, GREEDY)
    assert isinstance(done, Done)
    return done


def test_the_info_says_how_the_weights_are_held(backend: NativeBackend) -> None:
    assert (backend.info.quantization, backend.info.dtype) == ("nf4", "bfloat16")
    assert isinstance(backend.engine.model.get_submodule("model.layers.3.mlp.down_proj"), PackedLinear)
    assert load_native(builtin_path(), name="builtin", device="cpu").info.quantization == "none"


@pytest.mark.parametrize("question", ANSWERS)
def test_the_quantized_guide_still_knows(backend: NativeBackend, question: str) -> None:
    assert ANSWERS[question].lower() in ask(backend, [Message(role="user", content=question)]).text.lower()


def test_whole_chunked_and_reused_say_the_same(backend: NativeBackend) -> None:
    kept, chunked = read_in_chunks(backend, 256), read_in_chunks(backend, 7)
    messages: list[Message] = []
    reused = 0
    for question in ANSWERS:
        messages.append(Message(role="user", content=question))
        whole = ask(read_in_chunks(backend, 4096), messages)
        in_turn = ask(kept, messages)
        chunked.engine._kept.forget()
        assert in_turn.text == whole.text
        assert ask(chunked, messages).text == whole.text
        reused += in_turn.reused_tokens
        messages.append(Message(role="assistant", content=in_turn.text, ids=in_turn.ids))
    assert reused > 0


def test_a_device_without_kernels_is_refused_before_the_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UsageError, match="nothing computes it there"):
        load_native("nowhere", name="nothing", device="mps", quantize="nf4")

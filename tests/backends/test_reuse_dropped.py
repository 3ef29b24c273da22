"""A chat that leaves its oldest turns out goes on with the logits of one that is read anew, whatever its cache held."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch
from every_tokenizer import make_tokenizer

from fakes import fake_console
from mistral_cli.backends.native import NativeBackend
from mistral_cli.chat.conversation import Conversation
from mistral_cli.contract import ModelInfo, SamplingParams
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.ui.overflow import Overflow
from mistral_cli.ui.repl import Repl

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = 160
QUESTIONS = [f"Question number {number}: what would you say to that, in a word or two?" for number in range(9)]


def open_backend(folder, version: str, window) -> NativeBackend:
    tokenizer = make_tokenizer(folder, version)
    args = ModelArgs(
        dim=16,
        n_layers=2,
        head_dim=8,
        hidden_dim=32,
        n_heads=4,
        n_kv_heads=2,
        vocab_size=tokenizer.vocab_size,
        max_position_embeddings=CONTEXT,
        sliding_window=window,
        tie_word_embeddings=True,
    )
    model = Mistral(args, torch.Generator().manual_seed(4), dtype=torch.float64)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(30)  # logits that depend on what was read
    engine = NativeEngine(model, context=CONTEXT, eos_ids={tokenizer.eos_id}, control_ids=tokenizer.control_ids)
    info = ModelInfo(name="t", path="", parameters=0, dtype="", device="cpu", context=CONTEXT, tokenizer=version)
    return NativeBackend(engine=engine, tokenizer=tokenizer, info=info, defaults={})


def talked(backend: NativeBackend) -> tuple[Repl, list[torch.Tensor]]:
    """Ask all questions in a chat; return it and the logits of every pass, one row each."""
    passes: list[torch.Tensor] = []
    hook = backend.engine.model.register_forward_hook(lambda _module, _inputs, output: passes.append(output[0][0, -1]))
    lines: Iterator[str] = iter(QUESTIONS)

    def read() -> str:
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    params = SamplingParams(temperature=1.5, seed=1, max_tokens=8, logit_bias={backend.tokenizer.eos_id: -1e4})
    repl = Repl(
        backend=backend,
        params=params,
        console=fake_console(),
        read=read,
        conversation=Conversation(system="You answer in one sentence."),
        overflow=Overflow(policy="drop-oldest"),
    )
    repl.run()
    hook.remove()
    return repl, passes


@pytest.mark.parametrize("version", ["v1", "v3", "v7"])
@pytest.mark.parametrize("window", [None, (16, None)], ids=str)
def test_every_token_of_such_a_chat_has_the_logits_of_a_cold_prefill(tmp_path, version: str, window) -> None:
    backend = open_backend(tmp_path, version, window)
    repl, passes = talked(backend)
    turns, model = repl.conversation.path(), backend.engine.model
    assert len(turns) == len(QUESTIONS)
    assert sorted({turn.record.left_out for turn in turns})[1:]  # more than once, here and there
    for number, turn in enumerate(turns):
        before = repl.conversation.at(turn.parent) if number else Conversation(system=repl.conversation.system)
        prompt = backend.encode(before.prompt(turn.question, left_out=turn.record.left_out))
        assert len(prompt) == turn.record.prompt_tokens <= CONTEXT - 8
        for drawn in range(len(turn.ids)):
            warm = passes.pop(0)
            with torch.inference_mode():
                cold, _ = model(torch.tensor([[*prompt, *turn.ids[:drawn]]]), last_only=True)
            torch.testing.assert_close(warm, cold[0, -1], rtol=0, atol=1e-10)
    assert passes == []


def test_only_the_prompts_that_lose_turns_are_read_anew(tmp_path) -> None:
    repl, _ = talked(open_backend(tmp_path, "v7", None))
    turns = repl.conversation.path()
    for before, turn in itertools.pairwise(turns):
        record, last = turn.record, before.record
        if record.left_out == last.left_out:
            assert record.reused_tokens == last.prompt_tokens + last.answer_tokens - 1
        else:
            assert 0 < record.reused_tokens < 20  # the system prompt

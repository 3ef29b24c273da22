"""Equal answers: read whole, in chunks, after another turn or beside others, a prompt is answered with the same ids.

With our kernels it is more than that: the same logits, to the bit.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from mistral_cli.backends.native import load_native
from mistral_cli.contract import Message, SamplingParams, TokenDrawn
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import NF4
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.fuse import fuse
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from mistral_cli.engine.generate import NativeEngine

GREEDY = SamplingParams(temperature=0, max_tokens=3)
QUESTIONS = Path(__file__).parents[2] / "tools" / "builtin_model" / "eval_questions.toml"
PLAIN = ModelArgs(
    dim=128, n_layers=3, head_dim=32, hidden_dim=192, n_heads=4, n_kv_heads=2, vocab_size=320, sliding_window=None
)
SHAPES = {
    "plain": PLAIN,
    "windowed": replace(PLAIN, sliding_window=(None, 50, 7)),
    "mixtral": replace(PLAIN, moe=MoeArgs(num_experts=4, num_experts_per_tok=2)),
}
TOKENS = torch.randint(0, 320, (1, 400), generator=torch.Generator().manual_seed(3))


def random_model(args: ModelArgs, kv: str) -> Mistral:
    model = Mistral(args, torch.Generator().manual_seed(1), dtype=torch.bfloat16).eval().requires_grad_(False)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and module.out_features > 4:  # routers stay
            model.set_submodule(name, PackedLinear.from_packed(packing.quantize(module.weight * 6, NF4)))
    model.kv = kv
    assert fuse(model)
    return model


def in_chunks(model: Mistral, ids: Tensor, size: int) -> Tensor:
    cache, logits = None, []
    for piece in ids.split(size, 1):
        out, cache = model(piece, cache)
        logits.append(out)
    return torch.cat(logits, 1)


@pytest.mark.parametrize("kv", ["none", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_logits_have_the_same_bits_in_chunks_of_any_length(shape: str, kv: str) -> None:
    model = random_model(SHAPES[shape], kv)
    whole = in_chunks(model, TOKENS, 400)
    for size in (256, 17, 1):
        assert torch.equal(in_chunks(model, TOKENS, size), whole)


@pytest.mark.parametrize("kv", ["none", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_logits_have_the_same_bits_after_another_turn_and_beside_others(shape: str, kv: str) -> None:
    model = random_model(SHAPES[shape], kv)
    _, reused = model(TOKENS[:, :260])
    reused.crop(220)
    again, _ = model(TOKENS[:, 220:300], reused)
    cold, _ = model(TOKENS[:, :300])
    assert torch.equal(again, cold[:, 220:])
    lengths = (5, 17, 300)
    caches = [model(TOKENS[:, :length])[1] for length in lengths]
    beside = model.forward_rows(TOKENS[:, 300:303].expand(3, -1), caches)
    for row, length in enumerate(lengths):
        alone, _ = model(torch.cat((TOKENS[:, :length], TOKENS[:, 300:303]), 1))
        assert torch.equal(beside[row, -1], alone[0, -1])


@pytest.fixture(scope="module")
def prompts() -> list[tuple[int, ...]]:
    """Return 200 prompts: the frozen questions, each after a text of another length, some longer than the window."""
    backend = load_native(builtin_path(), name="builtin", device="cpu", quantize="nf4")
    texts = [row["text"] for row in tomllib.loads(QUESTIONS.read_text())["question"]]
    asked = [
        f"{'So. ' * (number * 37 % (330 if number % 20 == 0 else 30))}{texts[number % len(texts)]}"
        for number in range(200)
    ]
    encoded = [backend.encode((Message(role="user", content=text),)) for text in asked]
    assert max(map(len, encoded)) > 512
    return encoded


def answers(engine: NativeEngine, prompts: list[tuple[int, ...]], *, chunk: int = 512) -> list[list[int]]:
    """Return what each prompt is answered by itself, nothing being reused."""
    own, found = engine._loop, []
    engine._loop = replace(own, chunk=chunk)
    for prompt in prompts:
        engine._kept.forget()
        found.append([event.id for event in engine.generate(prompt, GREEDY) if isinstance(event, TokenDrawn)])
    engine._loop = own
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kv", "count"), [("none", 200), ("int8", 40)])
def test_two_hundred_prompts_are_answered_the_same_whole_chunked_reused_and_batched(
    prompts: list[tuple[int, ...]], kv: str, count: int
) -> None:
    engine = load_native(builtin_path(), name="builtin", device="cpu", quantize="nf4", kv=kv).engine
    asked, long = prompts[:count], [prompt for prompt in prompts if len(prompt) > 256]
    whole = answers(engine, asked)
    assert len(set(map(tuple, whole))) > 10
    assert answers(engine, asked, chunk=17) == whole
    assert answers(engine, asked[1::40], chunk=1) == whole[1::40]
    assert reused(engine, asked) == whole
    assert batched(engine, asked) == whole
    assert answers(engine, long, chunk=256) == answers(engine, long)


def batched(engine: NativeEngine, prompts: list[tuple[int, ...]]) -> list[list[int]]:
    """Return what each is answered beside fifteen others."""
    found: list[list[int]] = [[] for _ in prompts]
    requests = [TokenRequest(prompt=prompt, params=GREEDY) for prompt in prompts]
    for row, event in engine.generate_many(requests, rows=16):
        if isinstance(event, TokenDrawn):
            found[row].append(event.id)
    return found


def reused(engine: NativeEngine, prompts: list[tuple[int, ...]]) -> list[list[int]]:
    """Return what each is answered after a turn that began as it does and went another way."""
    found = []
    for prompt in prompts:
        engine._kept.forget()
        other = (*prompt[: len(prompt) * 2 // 3], *prompt[:9])
        list(engine.generate(other, SamplingParams(temperature=0, max_tokens=2)))
        found.append([event.id for event in engine.generate(prompt, GREEDY) if isinstance(event, TokenDrawn)])
    return found

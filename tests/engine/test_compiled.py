"""Compiled layers: the same answers as far as rounding goes, and a reason where it cannot be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from mistral_cli.engine.captured import keep_calls
from mistral_cli.engine.compiled import check_compile, compile_now
from mistral_cli.errors import MistralError, OutOfMemoryError, UsageError
from mistral_cli.model.args import ModelArgs, MoeArgs

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = {"dim": 32, "n_layers": 1, "head_dim": 8, "hidden_dim": 64, "n_heads": 4, "n_kv_heads": 2}
CPU = torch.device("cpu")

COMPARE = """
import json
import torch
import mistral_cli
from mistral_cli.contract import Message, SamplingParams, TokenDrawn
texts = ["What is top_p?", "How do I keep the model from repeating itself?", "mistral gen reads a file with",
    "Where do the downloaded models lie?", "What is a KV cache?", "Explain RoPE to me.", "How do I resume a chat?"]
plain, compiled = (mistral_cli.load("builtin", device="cpu", quantize="none", compile=on) for on in (False, True))
divergences, agreed = [], 0
for text in texts:
    ids = plain.backend.encode([Message(role="user", content=text)])
    events = plain.backend.engine.generate(ids, SamplingParams(temperature=0, max_tokens=25))
    answer = [event.id for event in events if isinstance(event, TokenDrawn)]
    caches = [llm.model.new_cache(capacity=512) for llm in (plain, compiled)]
    with torch.inference_mode():
        for llm, cache in zip((plain, compiled), caches):
            llm.model(torch.tensor([ids]), cache)
        for token in answer:
            ours = compiled.backend.engine._steps(token, caches[1])
            theirs, _ = plain.model(torch.tensor([[token]]), caches[0])
            p, q = theirs[0, -1].double().log_softmax(-1), ours[0, -1].double().log_softmax(-1)
            divergences.append(float((p.exp() * (p - q)).sum()))
            agreed += int(p.argmax() == q.argmax())
text = compiled.generate(texts[0], temperature=0, max_tokens=8)
print(json.dumps([len(divergences), sum(divergences) / len(divergences), agreed / len(divergences), text]))
"""


def test_a_compiled_model_says_what_it_says_uncompiled_and_warns_of_nothing(tmp_path: Path) -> None:
    # one compiler, called here, and none of the programs with which torch tries what vectors the compiler knows
    environment = {
        **os.environ,
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_VEC_ISA_OK": "1",
    }
    command = [sys.executable, "-c", COMPARE]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    count, divergence, agreed, text = json.loads(run.stdout)
    assert count >= 60
    assert divergence <= 1e-3
    assert agreed >= 0.99
    assert text.strip()


def test_without_a_compiler_it_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "CXX": str(tmp_path / "nothing")}
    command = [sys.executable, "-m", "mistral_cli", "gen", "-m", "builtin", "--no-stdin", "--compile", "hello"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert "--compile cannot be used: torch finds no C++ compiler." in run.stderr
    assert "leave it out" in run.stderr


def test_experts_and_a_rounded_cache_are_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="mixture of experts"):
        check_compile(ModelArgs(**SHAPE, moe=MoeArgs(num_experts=4, num_experts_per_tok=2)), CPU, "none")
    with pytest.raises(UsageError, match="--kv int8"):
        check_compile(ModelArgs(**SHAPE), CPU, "int8")


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (
            "backend='inductor' raised:\nCppCompileError",
            MistralError,
            "could not compile the model: backend",
        ),
        ("DefaultCPUAllocator: can't allocate memory", OutOfMemoryError, "memory ran out"),
    ],
)
def test_what_torch_could_not_compile_is_said_in_a_line(said: str, kind: type[MistralError], told: str) -> None:
    def step() -> torch.Tensor:
        raise RuntimeError(said)

    with pytest.raises(kind, match=told):
        compile_now(step, CPU)


def test_a_step_is_taken_once_to_be_compiled_and_then_as_it_is() -> None:
    taken = []

    def step() -> torch.Tensor:
        taken.append(1)
        return torch.zeros(1)

    assert compile_now(step, CPU) is keep_calls(step, CPU)
    assert len(taken) == 1

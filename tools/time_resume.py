"""How long a chat that goes on takes to its first token: read anew, and with its cache back from the disk.

A model of 7B's shape with random 4-bit weights is made in memory. It reads a prompt, which is the time without a kept
cache; its cache is put on the disk, forgotten, and taken back for a prompt that goes on from there: with the file in
the system's page cache, and put out of it before (`posix_fadvise`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.backends.native_caches import NativeCaches
from mistral_cli.contract import SamplingParams, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.engine.kv_store import KVStore
from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.fuse import fuse
from mistral_cli.weights.quantized_file import Identity
from profile_step import random_model

ANSWER, QUESTION = 8, 24
"""Tokens of the answer before the chat is left, and of what is new when it goes on."""
ROUNDS = 3
IDENTITY = Identity(files=(), scheme="nf4", layout="random", device="cpu", dtype="bfloat16")


def first_token(engine: NativeEngine, prompt: list[int]) -> TokensDone:
    """Answer a prompt; return what it took."""
    done = list(engine.generate(prompt, SamplingParams(temperature=0, max_tokens=ANSWER)))[-1]
    assert isinstance(done, TokensDone)
    return done


def drop(folder: Path) -> None:
    """Put the files of a folder out of the page cache."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure(caches: NativeCaches, store: KVStore, tokens: int) -> None:
    """Print every time, a line each."""
    engine, ids = caches.engine, torch.randint(3, 30_000, (tokens,), generator=torch.Generator().manual_seed(1))
    cold = first_token(engine, ids.tolist())
    print(f"read anew:            {cold.seconds_to_first_token:8.2f} s for {tokens:,} tokens")
    started = time.perf_counter()
    nbytes = caches.put(store, "a chat", lambda: None)
    print(f"kept:                 {time.perf_counter() - started:8.2f} s for {nbytes / 1e6:,.0f} MB")
    prompt = [*engine.kept.ids, *range(5, 5 + QUESTION)]
    for name, is_cached in (("back, file cached:", True), ("back, file not cached:", False)):
        rounds = []
        for _ in range(ROUNDS):
            engine.kept.forget()
            if not is_cached:
                drop(store.folder)
            caches.expect(store)
            done = first_token(engine, prompt)
            assert done.reused_tokens == len(prompt) - QUESTION
            rounds.append(done.seconds_to_first_token)
        spread = f"({min(rounds):.2f} to {max(rounds):.2f})"
        print(f"{name:<22}{statistics.median(rounds):8.2f} s {spread}, {QUESTION} of {len(prompt):,} tokens read")


def main() -> None:
    """Make a model and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kv", choices=("none", "int8"), default="none")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = random_model(replace(ModelArgs.mistral_7b_v03(), n_layers=asked.layers))
    fuse(model)
    model.kv = asked.kv
    engine = NativeEngine(model, context=asked.tokens + 100, eos_ids=())
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store = KVStore(folder=Path(folder) / "chats", limit=10**11)
        adapters = NativeAdapters(engine)
        measure(
            NativeCaches(engine=engine, adapters=adapters, identity=IDENTITY, folder=Path("random")),
            store,
            asked.tokens,
        )


if __name__ == "__main__":
    main()

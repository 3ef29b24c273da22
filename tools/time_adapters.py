"""What an adapter costs on a model of 7B's shape with random 4-bit weights: to swap it in, and at each token.

The model is made in memory, adapters of random numbers in float32 (as peft saves them) on the disk. Each round goes
through all of them and through the bare model, in turn: putting it on (its files are in the page cache), reading a
prompt, answering, taking it off. Told are medians over the rounds, with the least and the most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.contract import SamplingParams, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.adapters.files import linear_shapes
from mistral_cli.weights.fuse import fuse
from profile_step import random_model

ADAPTERS = {
    "rank 8 on q, v": (8, ("q_proj", "v_proj")),
    "rank 32 on q, k, v, o": (32, ("q_proj", "k_proj", "v_proj", "o_proj")),
    "rank 16 on all seven": (16, ("_proj",)),
}
PROMPT, ANSWER = 128, 24
BARE = "none"


def write_adapter(folder: Path, args: ModelArgs, rank: int, ends: tuple[str, ...]) -> Path:
    """Write an adapter for every layer whose name ends so."""
    folder.mkdir()
    shapes = {name: shape for name, shape in linear_shapes(args).items() if name.endswith(ends)}
    matrices = {}
    for name, (outputs, inputs) in shapes.items():
        matrices[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inputs) * 0.01
        matrices[f"base_model.model.{name}.lora_B.weight"] = torch.randn(outputs, rank) * 0.01
    save_file(matrices, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": sorted(shapes)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def answer(engine: NativeEngine) -> TokensDone:
    """Read the prompt and answer it; return what it took."""
    prompt = torch.randint(3, 30_000, (PROMPT,), generator=torch.Generator().manual_seed(1)).tolist()
    done = list(engine.generate(prompt, SamplingParams(temperature=0, max_tokens=ANSWER)))[-1]
    assert isinstance(done, TokensDone)
    return done


def go_through(adapters: NativeAdapters, engine: NativeEngine, folder: Path | None) -> dict[str, float]:
    """Return the seconds of a swap and what an answer took with one adapter, or with none."""
    took: dict[str, float] = {}
    started = time.perf_counter()
    if folder is not None:
        adapters.load(folder)
        took["on, s"] = time.perf_counter() - started
    engine.kept.forget()
    done = answer(engine)
    took["prompt, tokens/s"] = PROMPT / done.seconds_to_first_token
    took["answer, tokens/s"] = done.tokens_per_second
    started = time.perf_counter()
    adapters.off()
    if folder is not None:
        took["off, s"] = time.perf_counter() - started
    return took


def tell(name: str, taken: dict[str, list[float]], parameters: int) -> None:
    """Print a line for each of the things that were timed."""
    print(f"{name} ({parameters:,} parameters)" if parameters else name)
    for what, values in taken.items():
        print(f"  {what:<18}{statistics.median(values):9.3f} ({min(values):.3f} to {max(values):.3f})")


def main() -> None:
    """Make a model and adapters, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    args = replace(ModelArgs.mistral_7b_v03(), n_layers=asked.layers)
    model = random_model(args)
    fuse(model)
    engine = NativeEngine(model, context=PROMPT + ANSWER + 8, eos_ids=())
    adapters, taken = NativeAdapters(engine), defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as place:
        folders: dict[str, Path | None] = {BARE: None}
        for number, (name, (rank, ends)) in enumerate(ADAPTERS.items()):
            folders[name] = write_adapter(Path(place) / str(number), args, rank, ends)
        parameters = {name: adapters.load(folder).parameters if folder else 0 for name, folder in folders.items()}
        adapters.off()
        answer(engine)
        for _ in range(asked.rounds):
            for name, folder in folders.items():
                for what, value in go_through(adapters, engine, folder).items():
                    taken[name][what].append(value)
    for name, values in taken.items():
        tell(name, values, parameters[name])


if __name__ == "__main__":
    main()

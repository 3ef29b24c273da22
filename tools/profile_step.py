"""Where the time of a decode step goes: the matrix products, attention, and everything else, in milliseconds.

A model of 7B's width with random 4-bit weights is made in memory, of a few layers; what is counted per layer is given
for all 32, too. The engine runs as ever: sampling and the loop's own Python are in "everything else". The two parts
are timed by wrapping the functions that do them and nothing around them. What attention takes is set against reading
its keys and values as fast as memory is read here; --compile sets the step against the same one compiled by torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from array import array
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mistral_cli.contract import SamplingParams, TokenDrawn
from mistral_cli.engine.compiled import compiled_steps
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.kernels import library
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.measure.bandwidth import read_bandwidth
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.attention import Attention
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.fuse import fuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL = 32
SETTLE = 12.0
PARTS = ("products", "attention", "elementwise")
"""What the library itself can tell apart, see ``layers_watch`` in ``csrc/layers.cpp``."""


def random_model(args: ModelArgs, *, dense: bool = False) -> Mistral:
    """Return a model whose linear layers are of random 4-bit codes (bfloat16: ``dense``), each in memory of its own."""
    model = Mistral(args, device="meta", dtype=torch.bfloat16)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and not dense:
            layer = PackedLinear(module.in_features, module.out_features)
            layer.nibbles.random_(0, 256)
            layer.scales.random_(0, 256)
            layer.nested.fill_(0.005)[0] = 0.02
            model.set_submodule(name, layer)
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            value = torch.ones_like(weight, device="cpu") if weight.dim() == 1 else torch.randn(weight.shape)
            setattr(module, name, nn.Parameter(value.to(torch.bfloat16), requires_grad=False))
    return model.eval()


@dataclass(slots=True, kw_only=True)
class Clock:
    """Seconds spent in each part since it was last asked."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Time every call of ``owner.name``."""
        call: Callable[..., Any] = getattr(owner, name)
        spent, now = self.spent, time.perf_counter

        def timed(*args: Any, **options: Any) -> Any:
            started = now()
            result = call(*args, **options)
            spent[part] += now() - started
            return result

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """Return the parts and start again from 0."""
        taken = dict(self.spent)
        self.spent.clear()
        return taken


def watch(clock: Clock, model: Mistral) -> None:
    """Put the clock around the layers, the products and attention; inside of the library it has one of its own."""
    functions, inside = library.load().functions, array("q", [0] * len(PARTS))
    functions.layers_watch(inside.buffer_info()[0])
    for name in [name for name in vars(functions) if name.startswith("products_")]:
        clock.wrap(functions, name, "products")
    for module in model.modules():
        if isinstance(module, Attention):
            clock.wrap(module, "attend", "attention")
    run = model.run

    def timed(*args: Any) -> Any:
        inside[:] = array("q", [0] * len(PARTS))
        started = time.perf_counter()
        result = run(*args)
        clock.spent["layers"] += time.perf_counter() - started
        for part, nanoseconds in zip(PARTS, inside, strict=True):
            clock.spent[part] += nanoseconds / 1e9
        clock.spent["layer products"] += clock.spent["products"]  # those that follow are the head's
        return result

    model.run = timed


def decode(
    engine: NativeEngine, clock: Clock, depth: int, count: int, params: SamplingParams, warm: int = 4
) -> Iterator[dict[str, float]]:
    """Yield the parts of each decode step at ``depth`` tokens in the cache, the whole among them."""
    prompt = torch.randint(3, engine.model.args.vocab_size, (depth,)).tolist()
    before = 0.0
    for event in engine.generate(prompt, replace(params, max_tokens=count + warm)):
        if isinstance(event, TokenDrawn):
            now, parts = time.perf_counter(), clock.take()
            warm -= 1
            if warm < 0:
                yield parts | {"step": now - before}
            before = now


def compare_compiled(model: Mistral, depth: int, count: int, params: SamplingParams, settle: float) -> dict[str, float]:
    """Return the median milliseconds of a step of these layers as it is and compiled, and what compiling took.

    For ``settle`` seconds after it has compiled, torch's own processes are still busy: what counts comes after them.
    """
    eager = _steps(NativeEngine(model, eos_ids=()), depth, count, params)
    engine, started = NativeEngine(model, eos_ids=(), steps=compiled_steps(model)), time.perf_counter()
    compiling = max(_steps(engine, depth, count, params))
    while True:
        compiled = _steps(engine, depth, count, params)
        if time.perf_counter() - started > compiling / 1e3 + settle:
            break
    return {
        "step of these layers": statistics.median(eager),
        "step of these layers, compiled": statistics.median(compiled),
        "compiling": compiling,
        "eager over compiled": statistics.median(eager) / statistics.median(compiled),
    }


def _steps(engine: NativeEngine, depth: int, count: int, params: SamplingParams) -> list[float]:
    """Return the milliseconds of each step but the first, which follows the prompt."""
    return [row["step"] * 1e3 for row in decode(engine, Clock(), depth, count, params, warm=1)]


def against_reading(table: dict[str, float], depth: int, args: ModelArgs) -> float:
    """Return how many times as long attention takes as reading its keys and values at the bandwidth measured now."""
    kv_bytes = depth * replace(args, n_layers=FULL).kv_bytes_per_token(2)
    return table["attention"] / 1e3 / (kv_bytes / read_bandwidth(torch.device("cpu")).most)


def summary(rows: list[dict[str, float]], layers: int) -> dict[str, float]:
    """Return the median milliseconds of each part of a step, scaled to the layers of a whole 7B."""
    times = {name: statistics.median(row.get(name, 0.0) for row in rows) * 1e3 for name in rows[0]}
    scale, head = FULL / layers, times["products"] - times["layer products"]
    products, attended = times["layer products"] * scale, times["attention"] * scale
    around = times["layers"] * scale - products - attended
    outside = times["step"] - times["layers"] - head
    step = products + head + attended + around + outside
    return {
        "step": step,
        "products": products + head,
        "attention": attended,
        "in the layers around them": around,
        "outside the layers": outside,
        "share outside products and attention": (around + outside) / step,
    }


def main() -> None:
    """Measure and print a table on stderr, one line of JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--depth", type=int, default=100, help="tokens in the cache")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--vocabulary", type=int, default=32768)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dense", action="store_true", help="weights in bfloat16 instead of 4 bits")
    parser.add_argument("--compile", action="store_true", help="compare with the layers compiled by torch, no parts")
    parser.add_argument("--unfused", action="store_true", help="without our own functions around the products")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    args = replace(ModelArgs.mistral_7b_v03(), n_layers=options.layers, vocab_size=options.vocabulary)
    model, clock = random_model(args, dense=options.dense), Clock()
    if not options.unfused:
        fuse(model)
    params = SamplingParams(temperature=options.temperature)
    if options.compile:
        table = compare_compiled(model, options.depth, options.steps, params, SETTLE)
    else:
        watch(clock, model)
        rows = list(decode(NativeEngine(model, eos_ids=()), clock, options.depth, options.steps, params))
        table = summary(rows, options.layers)
        table["attention over reading keys and values"] = against_reading(table, options.depth, args)
    shown = f"{FULL} layers (measured: {options.layers})" if not options.compile else f"{options.layers} layers"
    print(f"7B's width, {shown}, {options.threads} threads, ms", file=sys.stderr)
    for name, value in table.items():
        print(f"  {name:38} {value:8.2%}" if "share" in name else f"  {name:38} {value:8.2f}", file=sys.stderr)
    print(json.dumps({name: round(value, 4) for name, value in table.items()}))


if __name__ == "__main__":
    main()

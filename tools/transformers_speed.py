"""How fast transformers with bitsandbytes reads and writes: NF4, double quantization, bfloat16 in between.

Run by `tools/compare_speed.py` as a process of its own. The first line on stdout comes with the first token; the last
one is JSON. A model that is in bitsandbytes' own format is loaded as it is, any other is quantized while it is loaded.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.generation.streamers import BaseStreamer


class Clock(BaseStreamer):
    """Notes when each token came; the first call brings the prompt."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:  # noqa: ARG002 (transformers calls it so)
        """Note the time."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Do nothing."""


def load(folder: Path) -> Any:
    """Return the model as its users load it."""
    ready = "quantization_config" in json.loads((folder / "config.json").read_text())
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    options = {} if ready else {"quantization_config": config}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map="cpu", **options).eval()


def answer(model: Any, length: int, tokens: int) -> tuple[float, float]:
    """Return the seconds to the first token of a prompt of ``length``, and tokens a second after it (0: one token)."""
    ids = torch.randint(3, model.config.vocab_size, (1, length))
    clock, started = Clock(), time.perf_counter()
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        pad_token_id=0,
        streamer=clock,
    )
    times = clock.times[1:]
    return times[0] - started, (len(times) - 1) / (times[-1] - times[0]) if tokens > 1 else 0.0


def main() -> None:
    """Load, answer once, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=33)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--start-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(options.model)
    answer(model, 16, 1)
    print("the first token is there", flush=True)
    if options.start_only:
        return
    answer(model, options.length, 2)  # bitsandbytes repacks at its first products
    prefill = [options.length / answer(model, options.length, 1)[0] for _ in range(options.repeat)]
    decode = [answer(model, options.depth, options.tokens)[1] for _ in range(options.repeat)]
    print(json.dumps({"prefill": prefill, "decode": decode}))


if __name__ == "__main__":
    main()

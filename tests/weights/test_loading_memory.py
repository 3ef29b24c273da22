"""Loading holds the model and one tensor, never the checkpoint beside it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from written_checkpoints import huggingface_config, mistral_config, mistral_name, write_json

from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path

ARGS = ModelArgs(
    dim=1024, n_layers=4, head_dim=64, hidden_dim=4096, n_heads=16, n_kv_heads=16, vocab_size=16384, sliding_window=None
)

LARGEST = max(math.prod(shape) for shape in ARGS.tensor_shapes().values())
"""Numbers in the largest tensor."""

MARGIN = 100 * 2**20
"""Bytes beside the model and one tensor: a fifth of what is allowed, and half of what a second copy would take."""

PROGRAM = """
import re, sys, threading
from pathlib import Path
import torch
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.quantized_cache import QuantizedCache

def used():
    status = Path("/proc/self/status").read_text()
    parts = ("RssAnon", "RssShmem", "VmSwap")  # what a busy machine swapped out is used, too
    return sum(1024 * int(re.search(name + r":\\s+(\\d+)", status)[1]) for name in parts)

torch.set_num_threads(1)
before, peak, done = used(), [0], threading.Event()

def sample():
    while not done.wait(0.002):
        peak[0] = max(peak[0], used())

thread = threading.Thread(target=sample, daemon=True)  # or an error here would wait for it for ever
thread.start()
kind, scheme = getattr(torch, sys.argv[2]), sys.argv[3]
cache = QuantizedCache(folder=Path(sys.argv[4])) if sys.argv[4] else None
model = load_model(sys.argv[1], dtype=kind, quantize=scheme, cache=cache, progress=lambda *_: peak.append(used()))
done.set()
thread.join()
print(max(peak) - before, sum(value.nbytes for value in model.state_dict().values()))
"""


def write_zeros(folder: Path, names: dict[str, str], stem: str) -> None:
    """Write a checkpoint of zeros that takes no place on the disk: bfloat16, ``names`` from ours to the file's."""
    header, position = {}, 0
    for name, shape in ARGS.tensor_shapes().items():
        end = position + 2 * math.prod(shape)
        header[names[name]] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # as the safetensors library aligns it
    with (folder / f"{stem}.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)


def load(tmp_path: Path, layout: str, dtype: str, scheme: str, cache: Path | str = "") -> tuple[int, int]:
    """Load in a process of its own; return the bytes at the peak and those of the model."""
    if layout == "mistral":
        write_json(tmp_path / "params.json", mistral_config(ARGS))
        write_zeros(tmp_path, {name: mistral_name(name) for name in ARGS.tensor_shapes()}, "consolidated")
    else:
        write_json(tmp_path / "config.json", huggingface_config(ARGS))
        write_zeros(tmp_path, {name: name for name in ARGS.tensor_shapes()}, "model")
    command = [sys.executable, "-c", PROGRAM, tmp_path, dtype, scheme, cache]
    peak, model = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(peak), int(model)


@pytest.mark.parametrize("layout", ["hugging face", "mistral"])
def test_the_peak_is_the_model_and_one_tensor(tmp_path: Path, layout: str) -> None:
    peak, model = load(tmp_path, layout, "float32", "none")
    assert model == 4 * ARGS.parameters
    assert 0.9 * model < peak <= model + 4 * LARGEST + MARGIN


@pytest.mark.parametrize("layout", ["hugging face", "mistral"])
def test_the_peak_of_quantizing_is_the_quantized_model_and_one_tensor(tmp_path: Path, layout: str) -> None:
    peak, model = load(tmp_path, layout, "bfloat16", "nf4")
    whole = 2 * ARGS.parameters
    assert model < 0.4 * whole
    assert 0.9 * model < peak <= model + 2 * LARGEST + MARGIN // 3 < 0.8 * whole


def test_the_peak_of_a_load_that_is_kept_is_one_tensor_the_first_time_and_later(tmp_path: Path) -> None:
    first, model = load(tmp_path, "mistral", "bfloat16", "nf4", tmp_path / "cache")
    later, _ = load(tmp_path, "mistral", "bfloat16", "nf4", tmp_path / "cache")
    assert first < 2 * LARGEST + MARGIN // 3 < 0.9 * model
    assert later < 0.8 * model  # what is imported takes half of that

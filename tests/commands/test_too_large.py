"""A model that does not fit is refused before anything is read, with what would fit; large ones are quantized."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from mistral_cli.engine import plan
from mistral_cli.measure.random_model import RandomModel, write_random_model
from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path

SEVEN = ModelArgs.mistral_7b_v03()
ASKED = ("gen", "--no-stdin", "--device", "cpu", "hello", "-m")
GB = 10**9


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a 7B of nothing: a file with a hole of 14.5 GB, which takes no place and has nothing to be read."""
    folder = tmp_path_factory.mktemp("seven")
    write_random_model(
        folder, RandomModel(args=ModelArgs(dim=16, n_layers=1, head_dim=8, hidden_dim=16, n_heads=2, n_kv_heads=2))
    )
    config = json.loads((folder / "config.json").read_text())
    sizes = {"hidden_size": 4096, "num_hidden_layers": 32, "head_dim": 128, "intermediate_size": 14336}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32768, "mistral_cli_tokenizer": "v3"}
    (folder / "config.json").write_text(json.dumps(config | sizes | heads | {"max_position_embeddings": 32768}))
    header, position = {}, 0
    for name, shape in SEVEN.tensor_shapes().items():
        end = position + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)
    return folder


def refused(capfd: pytest.CaptureFixture[str], seven: Path, *flags: str) -> str:
    code, out, err = mistral(capfd, *ASKED, str(seven), *flags)
    assert (code, out, err.count("\n")) == (5, "", 1)
    return err


def test_a_7b_is_quantized_unasked_and_refused_where_even_that_does_not_fit(
    capfd: pytest.CaptureFixture[str], seven: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: 3 * GB)
    err = refused(capfd, seven)
    assert "3,938,624,388 for its weights in nf4" in err
    assert "3,000,000,000 are free" in err


@pytest.mark.parametrize(
    ("free", "flags", "hint"),
    [
        (8, ("--quantize", "none"), "It fits with --quantize nf4."),
        (5, ("--context", "32768"), "It fits with --context "),
        (1, (), "no published one fits."),
    ],
)
def test_the_nearest_thing_that_fits_is_named(
    capfd: pytest.CaptureFixture[str],
    seven: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    flags: tuple[str, ...],
    hint: str,
) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: free * GB)
    assert hint in refused(capfd, seven, *flags)

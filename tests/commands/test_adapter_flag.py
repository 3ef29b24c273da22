"""``--adapter``: on the model from the first answer on, named wherever the model is, refused before it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

import mistral_cli
from lora_files import write_adapter
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def args(tiny: Path) -> ModelArgs:
    return read_args(find_files(tiny).config)


def asked(model: Path, *flags: str) -> tuple[str, ...]:
    common = ("--no-stdin", "--temperature", "0", "--max-tokens", "8", "--device", "cpu", "hello")
    return ("gen", "--model", str(model), *flags, *common)


def test_an_answer_tells_which_adapters_it_was_made_with(capfd, tiny: Path, args: ModelArgs, tmp_path: Path) -> None:
    one = write_adapter(tmp_path / "mine", args)
    (tmp_path / "other").mkdir()
    two = write_adapter(tmp_path / "other" / "mine", args)
    flags = ("--json", "--stats", "--adapter", f"{one}:30", "--adapter", str(two))
    code, out, err = mistral(capfd, *asked(tiny, *flags))
    told = json.loads(out)
    assert code == 0
    assert [(on["name"], on["path"], on["strength"]) for on in told["model"]["adapters"]] == [
        ("mine", str(one), 30),
        ("mine-2", str(two), 1),
    ]
    assert err.endswith(" · with mine × 30, mine-2\n")
    bare = json.loads(mistral(capfd, *asked(tiny, "--json")).out)
    assert bare["model"]["adapters"] == []
    assert bare["ids"] != told["ids"]
    weightless = json.loads(mistral(capfd, *asked(tiny, "--json", "--adapter", f"{one}:0")).out)
    assert weightless["ids"] == bare["ids"]


@pytest.fixture
def truncated(tiny: Path, tmp_path: Path) -> Path:
    """Return the model with weights that cannot be read."""
    folder = tmp_path / "truncated"
    folder.mkdir()
    for path in tiny.iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[:-100] if path.suffix == ".safetensors" else content)
    return folder


@pytest.mark.parametrize(
    ("adapter", "code", "said"),
    [
        ("missing", 3, "There is no adapter folder"),
        ("pickled", 4, "adapter_model.bin is a pickle file"),
        ("foreign", 4, "is for another model"),
        ("fine:much", 2, "'much', but must be a number"),
        ("fine:nan", 2, "'nan', but must be a number"),
        ("owner/name", 3, "mistral pull owner/name"),
    ],
)
def test_one_that_cannot_be_is_told_before_the_models_weights_are_read(
    capfd, truncated: Path, args: ModelArgs, tmp_path: Path, monkeypatch, adapter: str, code: int, said: str
) -> None:
    from dataclasses import replace

    monkeypatch.chdir(tmp_path)
    write_adapter(tmp_path / "fine", args)
    write_adapter(tmp_path / "foreign", replace(args, hidden_dim=48))
    weights = write_adapter(tmp_path / "pickled", args) / "adapter_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    found = mistral(capfd, *asked(truncated, "--adapter", adapter))
    assert (found.code, found.out) == (code, "")
    assert said in " ".join(found.err.split())


def test_its_memory_is_planned_with_the_models(capfd, tiny: Path, args: ModelArgs, tmp_path: Path, monkeypatch) -> None:
    """Room for the model alone is too little: that is told before a weight is read."""
    import torch

    from mistral_cli.engine import plan

    adapter, number = write_adapter(tmp_path / "mine", args), torch.float32
    alone = plan.Plan(args=args, dtype=number, device=torch.device("cpu")).needed(64)
    monkeypatch.setattr(plan, "host_free", lambda: alone)
    flags = ("--context", "64", "--dtype", "float32")
    assert mistral(capfd, *asked(tiny, *flags)).code == 0
    found = mistral(capfd, *asked(tiny, *flags, "--adapter", str(adapter)))
    assert found.code == 5
    assert "for its adapters" in " ".join(found.err.split())


def test_one_that_was_trained_on_another_model_says_so(capfd, tiny: Path, args: ModelArgs, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "mine", args)
    config = adapter / "adapter_config.json"
    for base, is_said in ((tiny, False), (tmp_path, True), (tmp_path / "gone", False)):
        config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": str(base)}))
        code, _, err = mistral(capfd, *asked(tiny, "--adapter", str(adapter)))
        assert (code, "mine was trained on" in err) == (0, is_said)


def test_the_same_adapter_twice_is_a_misuse(capfd, tiny: Path, args: ModelArgs, tmp_path: Path) -> None:
    folder = str(write_adapter(tmp_path / "mine", args))
    found = mistral(capfd, *asked(tiny, "--adapter", folder, "--adapter", f"{folder}/:2"))
    assert found.code == 2
    assert "is named twice" in found.err


def test_a_program_loads_adapters_with_the_model_and_takes_them_off(
    tiny: Path, args: ModelArgs, tmp_path: Path
) -> None:
    folder = write_adapter(tmp_path / "mine", args)
    llm = mistral_cli.load(str(tiny), adapter=f"{folder}:30", device="cpu")
    with_it = llm.generate("hello", temperature=0, max_tokens=8)
    assert [one.label for one in llm.info.adapters] == ["mine × 30"]
    llm.backend.adapters.off()
    assert llm.info.adapters == ()
    without = llm.generate("hello", temperature=0, max_tokens=8)
    assert without == mistral_cli.load(str(tiny), device="cpu").generate("hello", temperature=0, max_tokens=8)
    assert with_it != without

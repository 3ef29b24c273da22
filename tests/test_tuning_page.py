"""What docs/tuning.md shows of data is what the program makes of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from commands.command_line import mistral
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.text.tokenizer import load_tokenizer
from mistral_cli.text.tokenizer_files import carried_file
from mistral_cli.tune.data_sets import PACKED, SMALL
from mistral_cli.tune.dataset import make_dataset
from mistral_cli.tune.formats import FORMATS
from mistral_cli.tune.rows import READERS, read_rows

if TYPE_CHECKING:
    import pytest

    from mistral_cli.tune.dataset import Dataset

PAGE = (Path(__file__).parents[1] / "docs" / "tuning.md").read_text(encoding="utf-8")
((ROWS,), (TABLE,)) = (re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL) for kind in ("jsonl", "csv"))


def dataset(path: Path, text: str, flags: DataFlags) -> Dataset:
    path.write_text(text, encoding="utf-8")
    tokenizer = load_tokenizer(carried_file("v3"))
    return make_dataset(read_rows(path), tokenizer, flags.reading(loss="answers", length=1024))


def test_a_row_of_each_format_is_of_it(tmp_path: Path) -> None:
    kinds = dataset(tmp_path / "rows.jsonl", ROWS, DataFlags(source="en", target="fr")).kinds
    assert list(kinds) == [name for name in FORMATS if name != "raw"]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)) == set(FORMATS)


def test_every_ending_that_is_read_is_told() -> None:
    told = set(re.findall(r"`(\.\w+)`", PAGE))
    assert told == {*READERS, *PACKED}
    assert f"{SMALL // 1_000_000} MB" in PAGE


def test_the_table_is_read_with_the_columns_that_the_command_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faq.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    command = next(line for line in PAGE.splitlines() if "data check faq.csv" in line)
    outcome = mistral(capfd, *shlex.split(command)[1:])
    assert outcome.code == 0
    assert "2: 2 completion" in outcome.out


def test_a_pair_becomes_what_the_page_shows(tmp_path: Path) -> None:
    flags = DataFlags(source="en", target="fr")
    row = next(line for line in ROWS.splitlines() if "translation" in line)
    (sample,) = dataset(tmp_path / "pair.jsonl", row, flags).samples
    text = load_tokenizer(carried_file("v3")).decode(sample.ids)
    assert "".join(f"    {line}\n" for line in text.rstrip("\n").splitlines()) in PAGE

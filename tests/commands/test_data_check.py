"""``mistral data check``: what a shell sees of training data before anybody trains on it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from mistral_cli.text.tokenizer import load_tokenizer
from mistral_cli.text.tokenizer_files import carried_file
from mistral_cli.tune.dataset import Reading, make_dataset
from mistral_cli.tune.rows import read_rows

if TYPE_CHECKING:
    from pathlib import Path

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi there"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Good bye"},
]


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"messages": TALK}) + "\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "faq.csv"
    path.write_text("question,answer\nWhat is LoRA?,Two small matrices.\nEmpty?,\nHow large?,A few MB.\n")
    return path


def test_figures_and_samples_are_shown(chats: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = mistral(capfd, "data", "check", str(chats))
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    labels = {line[:11].strip(): line[11:].strip() for line in lines[:8]}
    assert labels["rows"] == "1: 1 chat"
    assert labels["tokenizer"] == "builtin (v3)"
    assert labels["samples"].startswith("2, one for each answer: in v3")
    assert labels["--length"] == "1,024 tokens: cuts nothing"
    assert labels["--packing"].startswith("1 sequence instead of 2")
    assert lines[9:12] == [
        "row 1, 12 tokens, 3 of them learnt:",
        'given   "<s>[INST] Be kind.\\n\\nHello[/INST]"',
        'learnt  " Hi there</s>"',
    ]


def test_it_counts_what_training_counts(chats: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = json.loads(mistral(capfd, "data", "check", str(chats), "--json", "--length", "18").out)
    dataset = make_dataset(read_rows(chats), load_tokenizer(carried_file("v3")), Reading(length=18))
    assert (told["samples"], told["tokens"], told["learnt_tokens"]) == (2, dataset.tokens, dataset.trained_tokens)
    assert (told["cut"], told["dropped"], told["length"]) == (dataset.cut, dataset.dropped, 18) == (1, 0, 18)
    assert told["lengths"] == {"least": 12, "median": 12, "p95": 20, "most": 20}
    assert told["examples"][0]["parts"][1] == {"text": " Hi there</s>", "learnt": True}


def test_rows_that_cannot_be_used_are_told_and_make_the_exit_code_8(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mapped = ("--map", "prompt=question,completion=answer", "--examples", "0")
    outcome = mistral(capfd, "data", "check", str(table), *mapped)
    assert outcome.code == 8
    assert "3: 2 completion, 1 not usable" in outcome.out
    assert "row 3: completion is empty" in outcome.out
    assert outcome.err.startswith("error: 1 of 3 rows cannot be used.")
    told = json.loads(mistral(capfd, "data", "check", str(table), *mapped, "--json").out)
    assert told["bad_rows"] == [{"row": 3, "reason": "completion is empty"}]


def test_strictly_the_first_such_row_ends_it(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = mistral(capfd, "data", "check", str(table), "--map", "prompt=question,completion=answer", "--strict")
    assert (outcome.code, outcome.out) == (2, "")
    assert "Row 3 of the data is wrong: completion is empty" in outcome.err


def test_columns_that_nobody_knows_are_told_once(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = mistral(capfd, "data", "check", str(table))
    assert (outcome.code, outcome.out) == (1, "")
    assert "None of the 3 rows can be used: row 2: it has the columns question, answer" in outcome.err
    assert outcome.err.count("--map gives them other names") == 1


def test_translations_end_with_their_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"id": "0", "translation": {"en": "Good day", "fr": "Bonjour"}}\n')
    outcome = mistral(capfd, "data", "check", str(path), "--source", "en", "--target", "fr")
    assert outcome.code == 0
    assert 'given   "<s> Translate: English → French\\nEnglish: Good day\\nFrench:"' in outcome.out
    assert 'learnt  " Bonjour\\n</s>"' in outcome.out


def test_long_texts_and_long_answers_are_told_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.jsonl"
    rows = [{"text": "word " * 100}, {"prompt": "Count.", "completion": "one " * 100}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = mistral(capfd, "data", "check", str(path), "--length", "50")
    assert "50 tokens: cuts the end of 1 sample and divides 1 text" in outcome.out


def test_data_may_come_through_a_pipe_and_nothing_needs_torch() -> None:
    program = (
        "import sys; from mistral_cli.cli import run, guarded\n"
        "code = guarded(lambda _: run(['data', 'check', '-', '--json'], _))\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules); sys.exit(code)"
    )
    lines = '{"text": "Once upon a time"}\n{"text": 7}\n'
    outcome = subprocess.run([sys.executable, "-c", program], check=False, input=lines, capture_output=True, text=True)
    assert outcome.returncode == 8, outcome.stderr
    assert json.loads(outcome.stdout)["kinds"] == {"text": 1}


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("empty.jsonl", b"", 1, "holds no rows"),
        ("zeros.jsonl", bytes(100), 2, "no text"),
        ("wide.csv", "prompt,completion\na,b\n".encode("utf-16"), 2, "iconv -f UTF-16"),
        ("nameless.csv", b"", 2, "names of its columns"),
        ("object.json", b"{}", 2, "no list of rows"),
        ("latin.jsonl", '{"text": "café"}\n'.encode("latin-1"), 1, "no UTF-8 (byte 0xe9)"),
    ],
)
def test_a_file_that_is_none_ends_clearly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes, code: int, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    outcome = mistral(capfd, "data", "check", str(tmp_path / name))
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check",), "takes one file"),
        (("check", "a", "b"), "takes one file"),
        (("check", "a", "--branches"), "--branches has no place in `mistral data check`"),
        (("check", "a", "-o", "b"), "--output has no place"),
        (("from-history", "--length", "9"), "--length has no place in `mistral data from-history`"),
        (("check", "a.jsonl", "--length", "3"), "--length is 3, but must be"),
        (("check", "a.jsonl", "--tokenizer", "x", "-m", "builtin"), "and a model too"),
        (("mend", "a"), "ACTION"),
    ],
)
def test_a_wrong_use_is_refused(capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    outcome = mistral(capfd, "data", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err


def test_a_file_that_is_missing_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("none.jsonl", "x" * 5000):
        outcome = mistral(capfd, "data", "check", name)
        assert (outcome.code, outcome.out) == (3, "")
        assert f"There is no data at {name[:60]}" in outcome.err


def test_rows_that_are_there_twice_are_shown_with_where_they_were_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("prompt,completion\nWho?,I.\nWho?,You.\nWho?,I.\nWhat?,That.\n")
    outcome = mistral(capfd, "data", "check", str(path))
    assert (outcome.code, outcome.err) == (0, "")
    assert "4: 4 completion, 1 repeated, 1 asked again\n" in outcome.out
    assert "repeated     row 4 says what row 2 does\n" in outcome.out
    assert "asked again  row 3 asks what row 2 does, and answers otherwise\n" in outcome.out
    told = json.loads(mistral(capfd, "data", "check", str(path), "--json").out)
    assert (told["repeated_rows"], told["asked_again"]) == ([{"row": 4, "first": 2}], [{"row": 3, "first": 2}])

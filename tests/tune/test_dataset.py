"""A file becomes samples; what is left out is counted and told with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.text.tokenizer import load_tokenizer
from mistral_cli.text.tokenizer_files import carried_file
from mistral_cli.tune.dataset import Reading, make_dataset, split
from mistral_cli.tune.formats import Languages
from mistral_cli.tune.rows import Row

if TYPE_CHECKING:
    from mistral_cli.text.tokenizer import Tokenizer

GOOD = [Row(number=at, columns={"prompt": f"Question {at}?", "completion": f"Answer {at}."}) for at in range(1, 41)]
BAD = [Row(number=41, error="no JSON: cut"), Row(number=42, columns={"prompt": "Q", "completion": ""})]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(carried_file("v3"))


def test_rows_are_counted_by_kind_and_bad_ones_told(tokenizer: Tokenizer) -> None:
    data = make_dataset([*GOOD[:2], Row(number=3, columns={"text": "Once."}), *BAD], tokenizer, Reading())
    assert (data.rows, data.kinds, len(data.samples)) == (5, {"completion": 2, "text": 1}, 3)
    assert [(row.number, row.reason) for row in data.bad] == [(41, "no JSON: cut"), (42, "completion is empty")]
    assert data.trained_tokens < data.tokens == sum(len(sample.ids) for sample in data.samples)


def test_the_first_bad_row_ends_it_if_wanted(tokenizer: Tokenizer) -> None:
    with pytest.raises(UsageError, match="Row 41 of the data is wrong: no JSON"):
        make_dataset([*GOOD[:2], *BAD], tokenizer, Reading(strict=True))


def test_a_reason_ends_without_a_full_stop_and_keeps_what_helps(tokenizer: Tokenizer) -> None:
    messages, pair, empty = Row(number=3, columns={"messages": "?"}), Row(number=4, columns={"translation": {}}), {}
    data = make_dataset([GOOD[0], messages, pair, Row(number=5, columns=empty)], tokenizer, Reading())
    assert [row.reason for row in data.bad][:2] == [
        "messages must be a list",
        "which way to translate is not said (Add --source en --target fr)",
    ]
    assert data.bad[2].reason.startswith("it is empty, and needs messages;")
    with pytest.raises(UsageError) as caught:
        make_dataset([messages], tokenizer, Reading(strict=True))
    assert str(caught.value) == ("Row 3 of the data is wrong: messages must be a list. Mend it, or leave out --strict.")


def test_what_is_too_long_is_cut_and_counted(tokenizer: Tokenizer) -> None:
    long = Row(number=1, columns={"prompt": "Short?", "completion": "word " * 50})
    hidden = Row(number=2, columns={"prompt": "word " * 50, "completion": "Yes."})
    data = make_dataset([long, hidden], tokenizer, Reading(length=20))
    assert (len(data.samples), data.cut, data.dropped) == (1, 2, 1)
    assert len(data.samples[0].ids) == 20
    assert data.lengths == tuple(
        len(sample.ids) for sample in make_dataset([long, hidden], tokenizer, Reading()).samples
    )


def test_a_long_text_is_divided_and_loses_nothing(tokenizer: Tokenizer) -> None:
    story = [Row(number=7, columns={"text": "Once upon a time there was a word. " * 20})]
    (whole,) = make_dataset(story, tokenizer, Reading()).samples
    data = make_dataset(story, tokenizer, Reading(length=50))
    assert (data.divided, data.cut, data.dropped, data.lengths) == (1, 0, 0, (len(whole.ids),))
    assert {(sample.ids[0], sample.trained[0], sample.number) for sample in data.samples} == {(1, False, 7)}
    assert (1, *(token for sample in data.samples for token in sample.ids[1:])) == whole.ids
    assert max(len(sample.ids) for sample in data.samples) == 50
    assert data.trained_tokens == whole.trained_tokens


def test_a_row_of_no_kind_tells_its_columns_and_what_it_needs(tokenizer: Tokenizer) -> None:
    strange = Row(number=2, columns={"q": "Q", "a": "A"})
    assert "columns q, a" in make_dataset([GOOD[0], strange], tokenizer, Reading()).bad[0].reason
    mapped = Reading(columns={"prompt": "q", "completion": "a"})
    assert make_dataset([strange], tokenizer, mapped).kinds == {"completion": 1}


def test_translations_go_the_way_that_is_said(tokenizer: Tokenizer) -> None:
    pair = Row(number=1, columns={"id": "7", "translation": {"en": "Good day", "fr": "Bonjour"}})
    for source, target, ending in (("en", "fr", "Bonjour\n"), ("fr", "en", "Good day\n")):
        languages = Languages(source=source, target=target)
        (sample,) = make_dataset([pair], tokenizer, Reading(languages=languages)).samples
        assert tokenizer.decode(sample.ids[:-1]).endswith(ending)


@pytest.mark.parametrize(
    ("rows", "words"),
    [([], "no rows"), (BAD, "None of the 2 rows can be used: row 41: no JSON: cut; row 42"), (GOOD[:1], "--length 5")],
)
def test_data_of_which_nothing_can_be_used_is_an_error(tokenizer: Tokenizer, rows: list[Row], words: str) -> None:
    with pytest.raises(MistralError, match=words):
        make_dataset(rows, tokenizer, Reading(length=5))


def test_a_format_that_there_is_not_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UsageError, match="--format is 'poem'"):
        make_dataset(GOOD, tokenizer, Reading(format="poem"))


def test_a_split_is_the_same_for_the_same_seed(tokenizer: Tokenizer) -> None:
    samples = make_dataset(GOOD, tokenizer, Reading()).samples
    trained, apart = split(samples, 0.1, seed=3)
    assert (len(trained), len(apart)) == (36, 4)
    assert set(trained) | set(apart) == set(samples)
    assert split(samples[::-1], 0.1, seed=3)[1] == apart[::-1]
    assert split(samples, 0.1, seed=4)[1] != apart


def test_a_split_leaves_something_on_both_sides(tokenizer: Tokenizer) -> None:
    samples = make_dataset(GOOD[:2], tokenizer, Reading()).samples
    assert [len(side) for side in split(samples, 0.01, 0)] == [1, 1]
    assert [len(side) for side in split(samples, 0.0, 0)] == [2, 0]
    assert [len(side) for side in split(samples[:1], 0.1, 0)] == [1, 0]


def _said_again(*, more: int) -> list[Row]:
    """Return forty rows, of which the first is there so many times more, from row 101 on."""
    return [*GOOD, *(Row(number=100 + at, columns=GOOD[0].columns) for at in range(1, more + 1))]


def test_rows_that_are_there_twice_are_told_with_where_they_were_first(tokenizer: Tokenizer) -> None:
    other = Row(number=50, columns={"prompt": "Question 3?", "completion": "Who knows."})
    renamed = Row(number=51, columns={"instruction": "Question 4?", "output": "Answer 4.", "id": "51"})
    repeats = make_dataset([*_said_again(more=1), other, renamed], tokenizer, Reading()).repeats
    assert [(one.number, one.first, one.is_whole) for one in repeats] == [(101, 1, True), (50, 3, False), (51, 4, True)]


def test_texts_that_only_begin_alike_ask_nothing_twice(tokenizer: Tokenizer) -> None:
    texts = [Row(number=at, columns={"text": f"Once upon a time, {at}"}) for at in range(3)]
    assert make_dataset(texts, tokenizer, Reading()).repeats == ()


@pytest.mark.parametrize("more", [1, 4, 30, 400])
def test_a_split_never_puts_the_same_row_on_both_sides(tokenizer: Tokenizer, more: int) -> None:
    samples = make_dataset(_said_again(more=more), tokenizer, Reading()).samples
    for seed in range(20):
        trained, apart = split(samples, 0.2, seed)
        assert not {sample.ids for sample in trained} & {sample.ids for sample in apart}
        assert sorted([*trained, *apart], key=lambda sample: sample.number) == list(samples)
        assert 0 < len(apart) <= round(0.2 * len(samples))


def test_rows_that_are_all_there_twice_are_split_all_the_same(tokenizer: Tokenizer) -> None:
    again = [Row(number=100 + row.number, columns=row.columns) for row in GOOD[:2]]
    samples = make_dataset([*GOOD[:2], *again], tokenizer, Reading()).samples
    trained, apart = split(samples, 0.1, 0)
    assert (len(trained), len(apart)) == (2, 2)
    assert not {sample.ids for sample in trained} & {sample.ids for sample in apart}
    assert [len(side) for side in split(samples[::2], 0.1, 0)] == [2, 0]

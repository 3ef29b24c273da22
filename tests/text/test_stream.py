"""The chunks of a stream, joined, are what the official tokenizer decodes; stop strings end it exactly."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from mistral_cli.text.stream import TextStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    from mistral_cli.text.tokenizer import Tokenizer

TEXTS = (
    "Hello world",
    " two  spaces ",
    "🦙 日本語 é \u202e",
    "[INST] </s>",
    "a\x00b\r\nc",
    "\n\n\tx",
    "👩‍👩‍👧‍👦",
    "𝔘𝔫𝔦",
    "\U0010ffff",
)


def streamed(tokenizer: Tokenizer, ids: Sequence[int], stops: Sequence[str] = (), *, continues: bool = False) -> str:
    stream = TextStream(tokenizer, stops, continues)
    return "".join(map(stream.push, ids)) + stream.finish()


def random_ids(tokenizer: Tokenizer, random: Random) -> list[int]:
    """Ids of every kind, with many single bytes and control tokens among them."""
    some_bytes = tokenizer.encode("🦙é\U0010ffff\x01")
    controls = sorted(tokenizer.control_ids)
    kinds: tuple[Callable[[], int], ...] = (
        lambda: random.randrange(tokenizer.vocab_size),
        lambda: random.choice(some_bytes),
        lambda: random.choice(controls),
        lambda: random.choice(range(1000, 1256)) if tokenizer.version in TEKKEN else random.choice(range(3, 259)),
        lambda: 0,
    )
    return [random.choices(kinds, weights=(4, 4, 1, 4, 0.3))[0]() for _ in range(random.randint(0, 24))]


TEKKEN = ("v3-tekken", "v7-tekken", "v11", "v13")


def test_random_ids_stream_to_what_the_official_tokenizer_decodes(
    tokenizer: Tokenizer, reference: Callable[[str], MistralTokenizer[Any, Any, Any, Any, Any]]
) -> None:
    random, official = Random(f"ids {tokenizer.version}"), reference(tokenizer.version)
    for _ in range(3_000):
        ids = random_ids(tokenizer, random)
        expected = official.decode(ids)
        assert streamed(tokenizer, ids) == expected, ids
        assert tokenizer.decode(ids) == expected, ids


def test_a_text_streams_back_to_itself(tokenizer: Tokenizer) -> None:
    for text in TEXTS:
        assert streamed(tokenizer, tokenizer.encode(text)) == text


def test_no_chunk_shows_half_a_character(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a🦙b日é" * 3)
    stream = TextStream(tokenizer)
    assert not any("\ufffd" in stream.push(token) for token in ids)


def test_a_character_that_never_ends_is_a_replacement_at_the_end(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    ids = tokenizer.encode("🦙")[:-1]
    stream = TextStream(tokenizer)
    assert "".join(map(stream.push, ids)) == ""
    assert stream.finish() == "\ufffd\ufffd\ufffd" == tokenizer.decode(ids)


def test_the_first_piece_loses_its_space_and_no_other_does(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    word = tokenizer.encode("Hello")
    stream = TextStream(tokenizer)
    assert [stream.push(token) for token in word * 2] == ["Hello", " Hello"]


def test_a_control_token_before_the_first_piece_changes_nothing(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    assert streamed(tokenizer, [tokenizer.eos_id, *tokenizer.encode("Hello")]) == "Hello"


def test_a_byte_token_of_a_space_is_kept(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v1")
    assert streamed(tokenizer, [3 + 0x20, *tokenizer.encode("x")]) == "  x"


def test_an_answer_that_continues_keeps_its_first_space(tokenizer: Tokenizer) -> None:
    """What is shown after a prefix is what the whole decodes to, less the prefix."""
    prefix, rest = tokenizer.encode("So"), tokenizer.encode(" on")
    whole = tokenizer.decode([*prefix, *rest])
    assert streamed(tokenizer, rest, continues=True) == whole.removeprefix("So")
    assert whole.removeprefix("So").startswith(" ")


def test_an_id_beyond_the_vocabulary_has_no_text(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("a"), tokenizer.vocab_size + 5, *tokenizer.encode("b")]
    assert streamed(tokenizer, ids) == tokenizer.decode(ids)


# -- stop strings ------------------------------------------------------------------------------------------------------


def characters(tokenizer: Tokenizer, text: str) -> list[int]:
    """One id or more a character, so that stops are cut everywhere."""
    return [token for char in text for token in tokenizer.encode(char)]


@pytest.mark.parametrize(
    ("text", "stops", "shown", "stopped"),
    [
        ("one END two", ["END"], "one ", "END"),
        ("one two", ["END"], "one two", None),
        ("aab", ["aab"], "", "aab"),
        ("aaab", ["aab"], "a", "aab"),
        ("ababac", ["abac"], "ab", "abac"),
        ("xEN", ["END"], "xEN", None),
        ("abcd", ["bcd", "c"], "ab", "c"),
        ("abcd", ["abcd", "bc"], "a", "bc"),
        ("abc", ["c", "abc"], "", "abc"),
        ("a\n\nb", ["\n\n"], "a", "\n\n"),
        ("🦙x🦙y", ["🦙y"], "🦙x", "🦙y"),
        ("END", ["END", "END"], "", "END"),
        ("anything", [], "anything", None),
    ],
)
def test_the_stop_that_completes_first_ends_the_answer(
    text: str, stops: list[str], shown: str, stopped: str | None, load: Callable[[str], Tokenizer]
) -> None:
    tokenizer = load("v3-tekken")
    stream = TextStream(tokenizer, stops)
    assert "".join(map(stream.push, characters(tokenizer, text))) + stream.finish() == shown
    assert stream.stopped == stopped


def test_the_beginning_of_a_stop_is_held_back_and_shown_when_it_was_none(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3-tekken")
    stream = TextStream(tokenizer, ["STOP"])
    assert [stream.push(token) for token in characters(tokenizer, "aSTOb")] == ["a", "", "", "", "STOb"]


def test_nothing_is_shown_after_a_stop(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3-tekken")
    stream = TextStream(tokenizer, ["."])
    assert "".join(map(stream.push, characters(tokenizer, "a.b.c"))) == "a"
    assert stream.finish() == ""
    assert stream.stopped == "."


def test_a_stop_is_found_whatever_the_chunks(tokenizer: Tokenizer) -> None:
    """Against a plain search of the whole text, with stops that overlap themselves and each other."""
    random = Random(f"stops {tokenizer.version}")
    for _ in range(400):
        text = "".join(random.choices("ab é", k=random.randint(0, 30)))
        stops = ["".join(random.choices("ab é", k=random.randint(1, 4))) for _ in range(random.randint(1, 3))]
        ids = tokenizer.encode(text) if random.random() < 0.5 else characters(tokenizer, text)
        whole = tokenizer.decode(ids)
        ends = [(whole.find(stop) + len(stop), -len(stop), stop) for stop in stops if stop in whole]
        shown = whole[: min(ends)[0] + min(ends)[1]] if ends else whole
        stream = TextStream(tokenizer, stops)
        assert "".join(map(stream.push, ids)) + stream.finish() == shown, (whole, stops)
        assert stream.stopped == (min(ends)[2] if ends else None)


def test_a_stream_without_end_costs_the_same_at_every_token(load: Callable[[str], Tokenizer]) -> None:
    """What is held back never grows beyond the longest stop."""
    tokenizer = load("v3")
    stream = TextStream(tokenizer, ["abab" * 4])
    ids = tokenizer.encode("abababababab " * 500)
    text = "".join(map(stream.push, ids))
    assert text == tokenizer.decode(ids)


# -- going on from ids that stand in the prompt -----------------------------------------------------------------------


def continued(tokenizer: Tokenizer, ids: Sequence[int], at: int, stops: Sequence[str] = ()) -> tuple[str, str]:
    """Return what is shown of ``ids[:at]`` while they come, and what a continuation adds to it."""
    first = TextStream(tokenizer, stops)
    shown = "".join(map(first.push, ids[:at]))
    rest = TextStream.after(tokenizer, stops, ids[:at], shown)
    return shown, "".join(map(rest.push, ids[at:])) + rest.finish()


def test_an_answer_cut_anywhere_and_continued_is_the_whole_answer(tokenizer: Tokenizer) -> None:
    random = Random(f"cut {tokenizer.version}")
    for text in TEXTS:
        ids = tokenizer.encode(text)
        for at in range(1, len(ids)):
            assert "".join(continued(tokenizer, ids, at)) == text
    for _ in range(300):
        ids = random_ids(tokenizer, random)
        at = random.randint(0, len(ids))
        if at:
            assert "".join(continued(tokenizer, ids, at)) == tokenizer.decode(ids)


def test_a_stop_that_begins_before_the_border_ends_the_continuation(tokenizer: Tokenizer) -> None:
    ids = [token for char in "one STOP two" for token in tokenizer.encode(char)]
    whole = TextStream(tokenizer, ["S T O P", "STOP"])
    expected = "".join(map(whole.push, ids))
    for at in range(1, len(ids)):
        stream = TextStream(tokenizer, ["S T O P", "STOP"])
        if stream.stopped is None and (shown := "".join(map(stream.push, ids[:at]))) != expected:
            rest = TextStream.after(tokenizer, ["S T O P", "STOP"], ids[:at], shown)
            assert shown + "".join(map(rest.push, ids[at:])) == expected


def test_a_stop_that_stands_before_the_border_ends_nothing(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    ids = tokenizer.encode("aSTOPb")
    stream = TextStream.after(tokenizer, ["STOP"], ids, "aSTOPb")
    assert "".join(map(stream.push, tokenizer.encode("c"))) + stream.finish() == " c"
    assert stream.stopped is None


def test_what_was_shown_when_the_answer_ended_is_not_shown_again(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    ids = [token for char in "ST" for token in tokenizer.encode(char)]
    stream = TextStream.after(tokenizer, ["S TOP"], ids, "S T")
    assert "".join(map(stream.push, tokenizer.encode("X"))) == " X"


def test_a_stop_may_begin_in_a_text_without_ids(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    stream = TextStream.after(tokenizer, ["one two"], (), "say one")
    assert [stream.push(token) for token in tokenizer.encode("two three")][:1] == [""]
    assert stream.stopped == "one two"


def test_half_a_character_before_the_border_is_whole_behind_it(load: Callable[[str], Tokenizer]) -> None:
    tokenizer = load("v3")
    *begun, last = tokenizer.encode("🦙")
    for shown in ("", "\ufffd\ufffd\ufffd"):
        assert TextStream.after(tokenizer, (), begun, shown).push(last) == "🦙"


def test_ids_behind_the_words_that_were_shown_are_owed_once(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("So"), *tokenizer.encode("\n")]
    whole = tokenizer.decode(ids)
    stream = TextStream.after(tokenizer, (), ids, "So")
    assert (stream.owed(), stream.owed()) == (whole.removeprefix("So"), "")

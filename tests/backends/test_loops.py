"""Answers that go round in circles end with the reason ``loop``, whoever computes; what is drawn or listed does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from every_tokenizer import make_tokenizer

from mistral_cli.backends.answer import open_answer
from mistral_cli.backends.hf import load_hf
from mistral_cli.backends.many import Request, stream_many
from mistral_cli.backends.native import load_native
from mistral_cli.contract import Done, Message, SamplingParams, TextDelta, TokenDrawn
from tiny_checkpoint import write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.contract import Backend, Prompt
    from mistral_cli.text.tokenizer import Tokenizer

VOCABULARIES = ("v1", "v3", "v3-tekken")
"""A version of each vocabulary: of 32,000 pieces, of 32,768, and of bytes."""
ASK = (Message(role="user", content="Go on for ever."),)
WATCHED = SamplingParams(temperature=0, watchdog=True)
TABLE = "| no. | square | cube |\n|---|---|---|\n" + "".join(f"| {n} | {n**2} | {n**3} |\n" for n in range(150))
MEANT = {
    "a ruler": "-" * 3_000 + "\n" + "=" * 3_000,
    "zeros": "0" * 2_000,
    "a matrix of zeros": "[" + ", ".join(["[" + ", ".join(["0"] * 30) + "]"] * 30) + "]",
    "bytes": "0x00, " * 400,
    "an array of texts": "[\n" + '    "grass",\n' * 300 + "]",
    "an array of objects": '[{"x": 0, "kind": null, "free": true}, ' * 60 + "]",
    "numbers in order": ", ".join(map(str, range(1_000))),
    "a table": TABLE,
    "a table of equal rows": "| yes | no | yes |\n" * 150,
    "a table in HTML": "<tr>" + "<td></td>" * 300 + "</tr>",
    "indentation": "\n".join(" " * 4 * (line % 40) + "}" for line in range(400)) + " " * 8_000 + "\t" * 2_000,
    "blank lines": "\n" * 2_000,
    "a chessboard": "XOXOXOXOXOXOXOXO\nOXOXOXOXOXOXOXOX\n" * 60,
    "a frame": "+" + "-" * 60 + "+\n" + ("|" + " " * 60 + "|\n") * 60,
    "a cat": "/\\_/\\  ( o.o )  > ^ <\n" * 60,
    "emoji": "😀" * 600,
}
STUTTERED = {
    "a word": "the " * 400,
    "a sentence": "All work and no play makes Jack a dull boy.\n" * 60,
    "two paragraphs": "It is what it is, and so it goes on.\n\nThat is why nothing ever ends here.\n\n" * 60,
    "Chinese": "是的。" * 400,
}


@pytest.fixture(scope="module", params=VOCABULARIES)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"), request.param)


def looped_after(tokenizer: Tokenizer, text: str) -> int | None:
    """Return after how many of its ids a text that a model wrote is ended."""
    _, answer = open_answer(tokenizer, Request(prompt=ASK, params=WATCHED), context=9_999, most=9_999)
    for number, token in enumerate(tokenizer.encode(text), start=1):
        list(answer.take(TokenDrawn(id=token)))
        if answer.stopper.is_set():
            return number
    return None


def test_nothing_that_is_drawn_padded_or_listed_is_ended(tokenizer: Tokenizer) -> None:
    assert {name: looped_after(tokenizer, text) for name, text in MEANT.items()} == dict.fromkeys(MEANT)


def test_words_that_are_repeated_are_ended_soon_after_two_hundred_ids(tokenizer: Tokenizer) -> None:
    ends = {name: looped_after(tokenizer, text) for name, text in STUTTERED.items()}
    assert [name for name, end in ends.items() if end is None or not 200 <= end <= 520] == []


# -- whoever computes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"))


def stuck(backend: Backend, **values: object) -> SamplingParams:
    """Return parameters that make a model say one word for ever."""
    token = backend.encode_words(" the", begins=False)[-1]
    return WATCHED.with_values({"logit_bias": {token: 1e4}, **values})


def ended(backend: Backend, params: SamplingParams, prompt: Prompt = ASK) -> tuple[Done, str]:
    events = list(backend.stream(prompt, params))
    assert isinstance(events[-1], Done)
    return events[-1], "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("load", [load_native, load_hf])
def test_a_loop_ends_with_its_reason_and_nothing_is_cut(folder: Path, load) -> None:
    backend = load(folder, name="tiny", device="cpu")
    done, shown = ended(backend, stuck(backend))
    assert (done.reason, len(done.ids), done.answer_tokens) == ("loop", 200, 200)
    assert shown == done.text == backend.tokenizer.decode(done.ids)


@pytest.mark.parametrize("load", [load_native, load_hf])
def test_nothing_is_ended_where_nobody_watches(folder: Path, load) -> None:
    backend = load(folder, name="tiny", device="cpu")
    done, _ = ended(backend, stuck(backend, watchdog=False, max_tokens=230))
    assert (done.reason, len(done.ids)) == ("length", 230)


def test_side_by_side_each_is_watched_as_it_asks_for(folder: Path) -> None:
    backend = load_native(folder, name="tiny", device="cpu")
    watched, free = stuck(backend), stuck(backend, watchdog=False, max_tokens=230)
    requests = [Request(prompt=ASK, params=params) for params in (watched, free, watched)]
    ends = {index: event for index, event in stream_many(backend, requests) if isinstance(event, Done)}
    assert [(ends[index].reason, len(ends[index].ids)) for index in range(3)] == [
        ("loop", 200),
        ("length", 230),
        ("loop", 200),
    ]


def test_a_stop_string_ends_an_answer_before_its_loop_does(folder: Path) -> None:
    backend = load_native(folder, name="tiny", device="cpu")
    done, _ = ended(backend, stuck(backend, stop=("the the",)))
    assert (done.reason, done.stop) == ("stop", "the the")


def test_what_follows_a_loop_has_the_cache_of_what_was_said(folder: Path) -> None:
    backend = load_native(folder, name="tiny", device="cpu")
    done, _ = ended(backend, stuck(backend))
    begun = Message(role="assistant", content=done.text, ids=done.ids, prefix=True)
    more, _ = ended(backend, SamplingParams(temperature=0, max_tokens=3), (*ASK, begun))
    assert more.reused_tokens == backend.count(ASK) + 199

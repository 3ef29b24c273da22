"""Going on inside an answer: from its end, from a place before it, with another token or other words."""

from __future__ import annotations

import pytest
from chats import answers, err, out, typed

from fakes import FakeBackend
from mistral_cli.contract import Message

SAID = "One two three four."


def chat(*lines: str, more: str = " And more.", **options):
    backend = FakeBackend(answers=[SAID, [more], [" Last."]], alternatives=["deux ", "zwei "])
    return typed("count", *lines, backend=backend, **options)


def test_continue_goes_on_from_the_very_ids_and_keeps_the_old_answer_as_a_branch() -> None:
    repl = chat("/continue")
    begun = Message(role="assistant", content=SAID, ids=(0, 1, 2, 3), prefix=True)
    assert repl.backend.prompts[1] == (Message(role="user", content="count"), begun)
    assert answers(repl) == [SAID + " And more."]
    assert repl.conversation.path()[0].ids == (0, 1, 2, 3, 0)
    assert sorted(turn.answer for turn in repl.conversation.leaves()) == sorted([SAID, SAID + " And more."])


def test_continue_shows_the_whole_answer() -> None:
    assert out(chat("/continue")).endswith(SAID + " And more.\n\n")


def test_an_answer_to_which_nothing_is_added_makes_no_branch() -> None:
    repl = chat("/continue", more="")
    assert len(repl.conversation.turns) == 1
    assert "nothing was added" in err(repl)


@pytest.mark.parametrize("words", ["2", '"three"', "'three four'"])
def test_back_rewinds_and_continue_goes_on_from_there(words: str) -> None:
    repl = chat(f"/back {words}", "/continue")
    assert repl.backend.prompts[1][-1] == Message(role="assistant", content="One two ", ids=(0, 1), prefix=True)
    assert answers(repl) == ["One two  And more."]


def test_back_alone_changes_nothing_and_may_be_repeated() -> None:
    repl = chat("/back 1", "/back 2")
    assert answers(repl) == [SAID]
    assert len(repl.backend.prompts) == 1
    assert repl.place.text == "One "
    assert "One ▏" in out(repl)


def test_back_to_the_beginning_answers_anew() -> None:
    repl = chat("/back 4", "/continue")
    assert repl.backend.prompts[1] == (Message(role="user", content="count"),)


@pytest.mark.parametrize("words", ["0", "5", "x", '"seven"', "-1"])
def test_a_place_that_is_none_is_refused(words: str) -> None:
    repl = chat(f"/back {words}")
    assert "error: " in err(repl)
    assert repl.place is None


def test_alt_takes_the_kth_likeliest_at_the_rewound_place() -> None:
    for line, token, text in (("/alt", 1000, "deux "), ("/alt 3", 1001, "zwei ")):
        repl = chat("/back 3", line)
        assert repl.backend.prompts[1][-1] == Message(role="assistant", content="One ", ids=(0, token), prefix=True)
        assert answers(repl) == [f"One {text} And more."]
        turn = repl.conversation.path()[0]
        assert "".join(token.text for token in turn.tokens) == turn.answer


def test_alt_without_a_place_is_refused() -> None:
    assert "Rewind first" in err(chat("/alt 2"))


def test_insert_forces_words_and_goes_on_from_them() -> None:
    repl = chat("/back 2", '/insert "In short,\\n"')
    assert answers(repl) == ["One two In short,\n And more."]
    assert repl.backend.prompts[1][-1].ids[:2] == (0, 1)
    assert len(repl.backend.prompts[1][-1].ids) == 4


def test_an_answer_with_forced_words_can_be_rewound_again() -> None:
    repl = chat("/back 2", '/insert "In short, "', "/back 1", "/continue")
    assert answers(repl) == ["One two In short,  Last."]


def test_another_question_forgets_the_place() -> None:
    repl = chat("/back 2", "next")
    assert repl.place is None
    assert answers(repl)[0] == SAID


def test_why_lists_what_was_likely_at_a_token() -> None:
    shown = out(chat("/why 2"))
    assert "token 2         60.7%  'two '" in shown
    assert "  2   22.3%  'deux '" in shown


def test_why_alone_lists_the_least_sure_tokens() -> None:
    assert out(chat("/why")).count("token ") == 4


def test_confidence_tints_and_has_a_legend() -> None:
    shown = out(chat("/confidence"))
    assert "\x1b[38;5" not in shown  # no colour on this console
    assert "below 30 %" in shown


def test_commands_inside_an_answer_need_one() -> None:
    for line in ("/continue", "/back 1", "/alt", '/insert "x"', "/why 1", "/confidence", "/retry", "/undo", "/edit"):
        repl = typed(line, backend=FakeBackend())
        assert "There is no answer yet" in err(repl), line


def test_the_statistics_of_an_answer_that_was_gone_on_with_are_those_of_all_of_it() -> None:
    repl = chat("/stats on", "/continue", "/stats")
    said = "prompt 1 tokens · answer 5 tokens (4 from before, 1 added)"
    assert said in err(repl)
    assert said in " ".join(out(repl).split())
    record = repl.conversation.path()[0].record
    assert (record.prompt_tokens, record.answer_tokens, record.begun_tokens) == (1, 5, 4)

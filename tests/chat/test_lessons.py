"""Chats become conversations to learn from: whole answers, each under its own system prompt, none taken twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.lessons import Lessons, as_line, lessons
from mistral_cli.chat.turn import Turn
from mistral_cli.tune.formats import FORMATS, build_example
from mistral_cli.tune.rows import Row

if TYPE_CHECKING:
    from mistral_cli.contract import Reason


def turn(number: int, parent: int | None, *, system: str = "", reason: Reason = "stop") -> Turn:
    return Turn(id=number, parent=parent, question=f"Q{number}", answer=f"A{number}", system=system, reason=reason)


def chat(*turns: Turn, leaf: int | None = None) -> Conversation:
    return Conversation(turns={one.id: one for one in turns}, leaf=turns[-1].id if leaf is None else leaf)


def numbers(found: Lessons) -> list[list[int]]:
    return [[one.id for one in turns] for turns in found.conversations]


def test_a_chat_is_the_branch_that_it_stands_at() -> None:
    tried_again = chat(turn(1, None), turn(2, 1), turn(3, 1))
    assert numbers(lessons([tried_again])) == [[1, 3]]
    assert numbers(lessons([tried_again], branches=True)) == [[1, 2], [1, 3]]


def test_answers_that_did_not_end_by_themselves_are_left_out() -> None:
    cut = [turn(1, None), turn(2, 1, reason="cancelled"), turn(3, 2, reason="loop"), turn(4, 3, reason="length")]
    found = lessons([chat(*cut, turn(5, 4))])
    assert (numbers(found), found.turns, found.left_out) == ([[1, 5]], 2, 3)
    everything = lessons([chat(*cut, turn(5, 4))], unfinished=True)
    assert (numbers(everything), everything.left_out) == ([[1, 2, 3, 4, 5]], 0)


def test_no_answer_is_learnt_under_another_system_prompt() -> None:
    changed = chat(turn(1, None), turn(2, 1, system="Be brief."), turn(3, 2, system="Be brief."), turn(4, 3))
    assert numbers(lessons([changed])) == [[1], [2, 3], [4]]


def test_what_a_fork_goes_on_from_is_taken_once() -> None:
    said = [turn(1, None), turn(2, 1)]
    assert numbers(lessons([chat(*said), chat(*said, turn(3, 2))])) == [[1, 2, 3]]
    assert numbers(lessons([chat(*said), chat(*said)])) == [[1, 2]]


def test_chats_without_an_answer_teach_nothing() -> None:
    assert lessons([Conversation(), chat(turn(1, None, reason="loop"))]) == Lessons(conversations=(), left_out=1)


def test_a_line_is_what_training_reads_as_a_chat() -> None:
    line = as_line([turn(1, None, system="É\n"), turn(2, 1, system="É\n")])
    assert line.endswith("\n")
    assert line.count("\n") == 1
    made = build_example(Row(number=1, columns=json.loads(line)), FORMATS["chat"], {}, None)
    roles = [(message.role, message.content) for message in made.messages]
    assert roles == [("system", "É\n"), ("user", "Q1"), ("assistant", "A1"), ("user", "Q2"), ("assistant", "A2")]

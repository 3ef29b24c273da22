"""Commands for the tree of turns: see its branches, go from one to another. Nothing here removes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.chat.turn import MARKS
from mistral_cli.ui.slash.choice import Choice, numbered
from mistral_cli.ui.slash.row import (
    ABOUT,
    SlashCommand,
    complete_turns,
    excerpt,
    last_turn,
    show_turn,
    turns_of,
    whole_number,
)

if TYPE_CHECKING:
    from mistral_cli.ui.repl import Repl


def _fork(repl: Repl, words: str) -> None:
    """Stand at an earlier turn: the next question begins a branch there."""
    path = repl.conversation.path()
    last_turn(repl)
    at = whole_number(words, "turn", len(path), usual=len(path))
    repl.stand(repl.conversation.at(path[at - 1].id))
    question = excerpt(path[at - 1].question, max(repl.console.err.columns - 40, 30))
    repl.console.notice(f"The next question goes on from turn {at}: {question}")


def _branches(repl: Repl, _words: str) -> None:
    """List the end of each branch; the one where the talk stands is marked."""
    last_turn_or_any(repl)
    tree, here = repl.conversation, {turn.id for turn in repl.conversation.path()}
    room = max(repl.console.out.columns - 20, 16)
    for number, leaf in enumerate(tree.leaves(), start=1):
        mark = "*" if leaf.id == tree.leaf else "+" if leaf.id in here else " "
        depth = len(tree.at(leaf.id).path())
        half = room // 2
        end = f" ({MARKS[leaf.reason]})" if leaf.reason in MARKS else ""
        line = f"{excerpt(leaf.question, half)} → {excerpt(leaf.answer, half - len(end))}{end}"
        repl.console.rows(f"{mark} {number:<3} {turns_of(depth):>8}  {line}")


def last_turn_or_any(repl: Repl) -> None:
    """Refuse where nothing was ever answered."""
    if not repl.conversation.turns:
        last_turn(repl)


def _switch(repl: Repl, words: str) -> None:
    """Go to the end of another branch."""
    last_turn_or_any(repl)
    leaves = repl.conversation.leaves()
    leaf = leaves[whole_number(words, "branch", len(leaves)) - 1]
    repl.stand(repl.conversation.at(leaf.id))
    show_turn(repl, leaf)


def _complete(repl: Repl, typed: str) -> list[Choice]:
    """Return the numbers of the branches, each with its last question and answer."""
    half = ABOUT // 2
    leaves = repl.conversation.leaves()
    return numbered(typed, (f"{excerpt(leaf.question, half)} → {excerpt(leaf.answer, half)}" for leaf in leaves))


COMMANDS = (
    SlashCommand(
        "/fork", "[N]", "Go on from turn N of this branch: the next question begins another.", _fork, complete_turns
    ),
    SlashCommand("/branches", "", "List the branches.", _branches),
    SlashCommand("/switch", "N", "Go to the end of branch N.", _switch, _complete),
)

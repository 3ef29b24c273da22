"""Commands that make another answer, or take one back. Each makes a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.ui.editor import edit
from mistral_cli.ui.slash.parameters import complete_pairs, read_pairs
from mistral_cli.ui.slash.row import SlashCommand, complete_turns, excerpt, last_turn, whole_number

if TYPE_CHECKING:
    from mistral_cli.ui.repl import Repl


def _retry(repl: Repl, words: str) -> None:
    """Answer the last question again, with other parameters for once."""
    turn = last_turn(repl)
    params = repl.params.with_values(read_pairs(words))
    repl.ask(turn.question, after=repl.conversation.undone(), params=params, again=turn)


def _undo(repl: Repl, words: str) -> None:
    """Take the last turns back."""
    path = repl.conversation.path()
    last_turn(repl)
    count = whole_number(words, "number of turns", len(path), usual=1)
    conversation = repl.conversation
    for _ in range(count):
        conversation = conversation.undone()
    repl.stand(conversation)
    question = excerpt(path[-count].question, max(repl.console.err.columns - 20, 30))
    repl.console.notice(f"Back before: {question}")


def _edit(repl: Repl, words: str) -> None:
    """Change a question in the user's editor and ask it again, beside the old one."""
    path = repl.conversation.path()
    last_turn(repl)
    turn = path[whole_number(words, "turn", len(path), usual=len(path)) - 1]
    text = edit(turn.question, suffix=".md")
    if not text.strip():
        raise UsageError("The edited question is empty, so nothing was asked.")
    if text == turn.question:
        repl.console.notice("Nothing was changed, so nothing was asked. /retry answers again.")
        return
    repl.ask(text, after=repl.conversation.at(turn.id).undone())


COMMANDS = (
    SlashCommand("/retry", "[NAME=VALUE …]", "Answer again, with other parameters for once.", _retry, complete_pairs),
    SlashCommand("/undo", "[N]", "Take the last turn (or N) back.", _undo),
    SlashCommand("/edit", "[N]", "Change question N (the last) in $EDITOR and ask it again.", _edit, complete_turns),
)

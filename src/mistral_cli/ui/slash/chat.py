"""Commands for the chat as a whole: leave, begin again, system prompt, what is loaded, several lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mistral_cli.adapting import labels
from mistral_cli.chat.context import left_out
from mistral_cli.chat.conversation import Conversation
from mistral_cli.errors import UsageError
from mistral_cli.ui.events import record_line
from mistral_cli.ui.slash.choice import Choice, matching, one_of
from mistral_cli.ui.slash.row import SlashCommand, complete_turns, last_turn, show_turn, unquoted, whole_number
from mistral_cli.ui.swap import swap_model
from mistral_cli.ui.typed import QUOTES

if TYPE_CHECKING:
    from mistral_cli.ui.repl import Repl

_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def _exit(repl: Repl, _words: str) -> None:
    repl.is_over = True


def _clear(repl: Repl, _words: str) -> None:
    """Go back to before the first question; what was said is a branch."""
    repl.stand(replace(repl.conversation, leaf=None))
    if repl.console.out.can_redraw:
        repl.console.rendered(_CLEAR)


def _new(repl: Repl, _words: str) -> None:
    repl.begin_session(Conversation(system=repl.conversation.system))
    repl.console.notice("A new chat.")


def _system(repl: Repl, words: str) -> None:
    """Show or set the system prompt; ``none`` removes it. Turns that were said keep theirs on the record."""
    if not words:
        repl.console.rows(repl.conversation.system or "(no system prompt)")
        return
    text = "" if words == "none" else unquoted(words)
    repl.stand(replace(repl.conversation, system=text))
    repl.console.notice("The next question has this system prompt." if text else "No system prompt any more.")


def _show(repl: Repl, words: str) -> None:
    """Show a turn, or what is loaded and where the talk stands."""
    path, out = repl.conversation.path(), left_out(repl.conversation, repl.backend.info)
    if words:
        number = whole_number(words, "turn", len(path))
        show_turn(repl, path[number - 1])
        if number <= out:
            repl.console.notice("(left out of the prompt: the context was full)")
        return
    info, place = repl.backend.info, f"{len(path)} of {len(repl.conversation.turns)} turns on this branch"
    place += f", the first {out:,} left out of the prompt" if out else ""
    form = info.dtype if info.quantization == "none" else f"{info.quantization} and {info.dtype}"
    session = repl.keeper.session
    kept = "not kept" if repl.keeper.store is None else session.name if session else "kept from its first answer on"
    adapters = [("adapters", labels(info.adapters))] if info.adapters else []
    rows = (
        ("model", f"{info.name}, {form} on {info.device}, by {info.backend}"),
        *adapters,
        ("context", f"{info.context:,} tokens, format {info.tokenizer}"),
        ("role", repl.keeper.role or "none"),
        ("system", repl.conversation.system or "none"),
        ("place", place),
        ("chat", kept),
    )
    for name, value in rows:
        repl.console.rows(f"{name:<8} {value}", indent=" " * 9)


def _stats(repl: Repl, words: str) -> None:
    if words not in ("", "on", "off"):
        raise UsageError(f"/stats is {words!r:.40}, but must be on or off, or nothing for the last answer's.")
    if words:
        repl.shows_stats = words == "on"
        repl.console.notice(f"Statistics after each answer: {words}.")
        return
    turn = last_turn(repl)
    repl.console.rows(record_line(turn))


def _tokens(repl: Repl, words: str) -> None:
    """Count what stands in the context, or would with a question."""
    total, path = repl.backend.info.context, repl.conversation.path()
    out = left_out(repl.conversation, repl.backend.info)
    if words:
        used = repl.backend.count(repl.conversation.prompt(unquoted(words), left_out=out))
    elif path:
        *said, last = repl.conversation.prompt("", left_out=out)[:-1]
        used = repl.backend.count((*said, replace(last, prefix=True)))  # no chat format ends with a finished answer
    else:
        used = 0
    repl.console.rows(f"{used:,} of {total:,} tokens ({used / total:.0%}); {total - used:,} are left")


def _multiline(repl: Repl, _words: str) -> None:
    """Let Enter begin a new line, or send again; where keys are not told apart, read lines up to three quotes."""
    if repl.tells_keys:
        repl.is_multiline = not repl.is_multiline
        enter = "Enter begins a new line, Alt-Enter sends" if repl.is_multiline else "Enter sends"
        repl.console.notice(f"{enter}. /multiline changes it back.")
        return
    repl.console.notice(f"Type lines; one of {QUOTES} sends them.")
    lines: list[str] = []
    while (line := repl.read_line()).strip() != QUOTES:
        lines.append(line)
    if any(line.strip() for line in lines):
        repl.send("\n".join(lines))


def _models(repl: Repl, typed: str) -> list[Choice]:
    return matching(typed, repl.looked_up("models", lambda: [Choice(name) for name in repl.models()]))


def _model(repl: Repl, words: str) -> None:
    """Show the model, or load another one for the next question."""
    if not words:
        info = repl.backend.info
        repl.console.rows(f"{info.name} ({info.path})")
        return
    swap_model(repl, words)


_ON_OFF = (Choice("on", "after each answer"), Choice("off", "only when asked"))
_NO_SYSTEM = (Choice("none", "no system prompt"),)
COMMANDS = (
    SlashCommand("/exit", "", "Leave the chat.", _exit),
    SlashCommand("/clear", "", "Forget what was said (a branch keeps it) and clear the screen.", _clear),
    SlashCommand("/new", "", "Begin a new chat with the same system prompt.", _new),
    SlashCommand("/system", "[TEXT|none]", "Show or set the system prompt.", _system, one_of(*_NO_SYSTEM)),
    SlashCommand("/model", "[NAME]", "Show the model, or load another one.", _model, _models),
    SlashCommand("/show", "[N]", "Show what is loaded and where the talk stands, or turn N.", _show, complete_turns),
    SlashCommand("/stats", "[on|off]", "Say what the last answer cost, or do so after each.", _stats, one_of(*_ON_OFF)),
    SlashCommand("/tokens", "[TEXT]", "Count the tokens of the context, or with TEXT as the next question.", _tokens),
    SlashCommand("/multiline", "", "Enter begins a new line and Alt-Enter sends, or Enter sends again.", _multiline),
)

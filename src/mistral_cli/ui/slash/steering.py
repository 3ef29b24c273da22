"""Commands inside an answer: go on, rewind, take another token, force words; how sure the model was of each token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mistral_cli.chat.steering import Writer, first, known_tokens, place_of, whole
from mistral_cli.contract import TokenInfo
from mistral_cli.errors import UsageError
from mistral_cli.ui.confidence import confidence
from mistral_cli.ui.slash.choice import Choice, numbered
from mistral_cli.ui.slash.row import SlashCommand, ending, is_quoted, last_turn, unquoted, whole_number

if TYPE_CHECKING:
    from mistral_cli.chat.steering import Beginning
    from mistral_cli.ui.repl import Repl

_TAIL = 60
"""Cells before a rewound place that are shown."""


def _place(repl: Repl) -> Beginning:
    return repl.place or whole(last_turn(repl))


def _tokens(repl: Repl) -> tuple[TokenInfo, ...]:
    """Return the tokens of the last answer.

    Raises:
        UsageError: there are none, or they were not kept.
    """
    tokens = known_tokens(last_turn(repl))
    if not tokens:
        raise UsageError("The tokens of this answer are not known.", "/retry answers again.")
    return tokens


def _go_on(repl: Repl, begun: Beginning) -> None:
    turn = last_turn(repl)
    repl.ask(turn.question, after=repl.conversation.undone(), begun=begun, again=turn)


def _continue(repl: Repl, _words: str) -> None:
    _go_on(repl, _place(repl))


def _back(repl: Repl, words: str) -> None:
    """Rewind to a place in the last answer; nothing changes until the answer goes on from there."""
    tokens = _tokens(repl)
    kept = tokens if repl.place is None else tokens[: len(repl.place.tokens)]
    if is_quoted(words):
        count = place_of(kept, unquoted(words))
    else:
        count = len(kept) - whole_number(words, "number of tokens to go back", len(kept), usual=1)
    repl.place = first(tokens, count)
    repl.console.line(f"{ending(repl.place.text, min(_TAIL, repl.console.out.columns - 2))}▏")
    if tokens[count].top:
        _list(repl, tokens[count])
    repl.console.notice('/continue goes on from here, /alt K with the K-th of these, /insert "words" with yours.')


def _alt(repl: Repl, words: str) -> None:
    """Take another of the likeliest tokens at the rewound place, and go on."""
    tokens = _tokens(repl)
    if repl.place is None or len(repl.place.tokens) >= len(tokens):
        raise UsageError("There is no place to take another token at.", 'Rewind first: /back 5, or /back "words".')
    top = tokens[len(repl.place.tokens)].top
    token, text, logprob = top[whole_number(words, "likely token there", len(top), usual=min(2, len(top))) - 1]
    _go_on(repl, repl.place.with_ids((TokenInfo(id=token, text=text, logprob=logprob, top=top),)))


def _others(repl: Repl, typed: str) -> list[Choice]:
    """Return the ranks of the likeliest tokens at the rewound place, each with its text and probability."""
    path = repl.conversation.path()
    tokens = known_tokens(path[-1]) if path else ()
    if repl.place is None or len(repl.place.tokens) >= len(tokens):
        return []
    top = tokens[len(repl.place.tokens)].top
    return numbered(typed, (f"{math.exp(logprob):.1%}  {text!r}" for _, text, logprob in top))


def _insert(repl: Repl, words: str) -> None:
    """Put words behind the rewound place, or the end of the answer, and go on from them."""
    text, begun = unquoted(words), _place(repl)
    if not text:
        raise UsageError("/insert has no words.", 'For instance: /insert "In short, "')
    if begun.text and not begun.ids:
        raise UsageError("This answer ended at a stop string, inside a token.", "Rewind first: /back 1")
    if not isinstance(repl.backend, Writer):
        raise UsageError(f"{repl.backend.info.name} cannot be made to say words.")
    ids = repl.backend.encode_words(text, begins=not begun.ids)
    _go_on(repl, begun.with_ids(tuple(TokenInfo(id=token) for token in ids)))


def _why(repl: Repl, words: str) -> None:
    """List what was likeliest at a token; without one, at the least sure ones."""
    tokens = _tokens(repl)
    if not words:
        unsure = sorted((token.logprob, number) for number, token in enumerate(tokens) if token.logprob is not None)
        for _, number in sorted(unsure[:5], key=lambda entry: entry[1]):
            repl.console.line(_told(number, tokens[number]))
        repl.console.notice("These were the least sure. /why N lists the likeliest at token N.")
        return
    at = place_of(tokens, unquoted(words)) if is_quoted(words) else whole_number(words, "token", len(tokens)) - 1
    repl.console.line(_told(at, tokens[at]))
    _list(repl, tokens[at])


def _told(number: int, token: TokenInfo) -> str:
    sure = "not drawn" if token.logprob is None else f"{math.exp(token.logprob):.1%}"
    return f"token {number + 1:<5} {sure:>9}  {_own_text(token)!r}"


def _own_text(token: TokenInfo) -> str:
    return next((text for identity, text, _ in token.top if identity == token.id), token.text)


def _list(repl: Repl, token: TokenInfo) -> None:
    for rank, (identity, text, logprob) in enumerate(token.top, start=1):
        mark = "←" if identity == token.id else ""
        repl.console.line(f"  {rank}  {math.exp(logprob):>6.1%}  {text!r} {mark}".rstrip())


def _confidence(repl: Repl, _words: str) -> None:
    out = repl.console.out
    turn = last_turn(repl)
    _tokens(repl)
    columns = out.columns if out.is_terminal else None
    repl.console.rendered(
        confidence(turn, is_terminal=out.is_terminal, color=out.color, can_style=out.can_redraw, columns=columns)
    )


COMMANDS = (
    SlashCommand("/continue", "", "Go on with the answer, from its end or from the place of /back.", _continue),
    SlashCommand("/back", '[N|"text"]', "Rewind the answer by N tokens, or to where the text last begins.", _back),
    SlashCommand("/alt", "[K]", "Take the K-th likeliest token at that place (the second), and go on.", _alt, _others),
    SlashCommand("/insert", '"text"', "Put words there, and go on from them.", _insert),
    SlashCommand("/why", '[N|"text"]', "List the five likeliest at token N, or the least sure tokens.", _why),
    SlashCommand("/confidence", "", "Show the answer with each token tinted by its probability.", _confidence),
)

"""What a chat does when the context fills up: warns once, asks, leaves out the oldest turns, or refuses.

Which turns those are is decided in ``chat.context``; here it is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mistral_cli.chat.context import WARNS_AT, overflowing, refusal
from mistral_cli.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.chat.context import Count, Drop, Request
    from mistral_cli.contract import Done
    from mistral_cli.ui.console import Console

DROPS: Final = "drop-oldest"
_WHEN_FULL: Final = {
    DROPS: "When it is full, the oldest turns are left out of the prompt",
    "error": "When it is full, questions are refused",
    None: "When it is full, you are asked whether to leave out the oldest turns",
}


class NotSentError(ContextError):
    """It does not fit, and the user chose to leave it at that."""


@dataclass(slots=True, kw_only=True)
class Overflow:
    """What is done in one chat."""

    policy: str | None = None
    """``drop-oldest`` or ``error``; None: somebody is asked, and where nobody can be it is an error."""
    ask: Callable[[str], bool] | None = None
    """Asks whoever sits there; None: nobody does."""
    _has_warned: bool = False

    def make_room(self, request: Request, count: Count, console: Console) -> int:
        """Return how many of the oldest turns are left out of the prompt.

        Raises:
            NotSentError: whoever was asked would not have it so.
            ContextError: it does not fit, and nothing may be left out or all is not enough.
        """
        drop = overflowing(request, count)
        if drop is None:
            return request.left_out
        if self.policy != DROPS:
            if self.policy is not None or self.ask is None:
                raise refusal(drop, request)
            if not self.ask(_question(drop, request)):
                raise NotSentError("The question was not sent.")
        # quiet or not: a prompt is never cut without a word
        console.stats(f"The context is full: the prompt goes without {drop}. The chat keeps what was said.")
        return drop.last

    def warn(self, done: Done, context: int, console: Console) -> None:
        """Say, once in a chat, that the context fills up, and what can be done."""
        used = done.prompt_tokens + done.answer_tokens
        if self._has_warned or not WARNS_AT * context <= used < context:
            return
        self._has_warned = True
        console.notice(
            f"The context is {used / context:.0%} full ({used:,} of {context:,} tokens). {_WHEN_FULL[self.policy]} "
            "(--overflow); /new begins a new chat, /undo takes turns back."
        )

    def begin(self) -> None:
        """Begin anew: it is another chat."""
        self._has_warned = False


def _question(drop: Drop, request: Request) -> str:
    return (
        f"The context is full: this prompt takes {drop.needed:,} tokens, {request.room:,} are kept for the answer, "
        f"and {request.total:,} fit. Press d to leave out {drop} and send it, any other key not to send it."
    )

"""The errors a user can meet: what happened, what to do next, and the exit code. Knows nothing else.

Every error below carries one line for a person and the exit code of the contract. Anything raised that is not a
``MistralError`` is a defect of the program, and the command line says so.
"""

from __future__ import annotations


class MistralError(Exception):
    """Something failed while running (exit code 1).

    Args:
        message: what happened and why, one line.
        hint: what to do next, one line; empty where nothing can be suggested.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, then the hint after a full stop."""
        return f"{self.message} {self.hint}".strip()


class UsageError(MistralError):
    """The command line, a config value or a request is wrong (2)."""

    exit_code = 2


class ModelNotFoundError(MistralError):
    """No model of that name, here or at the hub (3)."""

    exit_code = 3


class CheckpointError(MistralError):
    """A model, tokenizer or adapter that is corrupt, incomplete or not ours to read (4)."""

    exit_code = 4


class OutOfMemoryError(MistralError):
    """More memory needed than there is; the message holds both numbers (5)."""

    exit_code = 5


class ContextError(MistralError):
    """The prompt is longer than the context; the message holds both numbers (6)."""

    exit_code = 6

    @classmethod
    def of_prompt(cls, tokens: int, context: int, *, most: int, at_least: bool = False) -> ContextError:
        """Return the error for a prompt of ``tokens`` in a context that holds ``context``, and could hold ``most``.

        Args:
            tokens: what the prompt takes.
            context: what fits, prompt and answer together.
            most: what the model was made for.
            at_least: ``tokens`` is a lower bound.
        """
        more = " or more" if at_least else ""
        hint = f"Shorten it, or raise --context (to {most:,} at most)." if most > context else "Shorten it."
        return cls(
            f"The prompt takes {tokens:,} tokens{more}, but the context holds {context:,}, answer included.", hint
        )


class NetworkError(MistralError):
    """The hub cannot be reached, or does not let us in (7)."""

    exit_code = 7


class PartialFailureError(MistralError):
    """Some records of a batch failed, the others are done (8)."""

    exit_code = 8


class StoreError(MistralError):
    """The chats cannot be read or kept (1)."""


class SessionNotFoundError(MistralError):
    """No chat of that name (3)."""

    exit_code = 3

"""What an error says, and which exit code it carries."""

from __future__ import annotations

import pytest

from mistral_cli import errors
from mistral_cli.errors import ContextError, MistralError


@pytest.mark.parametrize(
    ("context", "hint"), [(2_048, "Shorten it."), (1_024, "Shorten it, or raise --context (to 2,048 at most).")]
)
def test_a_larger_context_is_advised_only_where_the_model_has_one(context: int, hint: str) -> None:
    error = ContextError.of_prompt(3_817, context, most=2_048)
    assert error.message == f"The prompt takes 3,817 tokens, but the context holds {context:,}, answer included."
    assert error.hint == hint


def test_every_error_has_the_exit_code_of_the_contract() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MistralError)]
    assert sorted({kind.exit_code for kind in kinds}) == [1, 2, 3, 4, 5, 6, 7, 8]

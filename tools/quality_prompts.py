"""Print the questions that the built-in model is judged by, a line each: prompts for `mistral quant-diff --lines`."""

from __future__ import annotations

import tomllib
from pathlib import Path

QUESTIONS = Path(__file__).parent / "builtin_model" / "eval_questions.toml"


def main() -> None:
    """Print them."""
    print("\n".join(row["text"] for row in tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))["question"]))


if __name__ == "__main__":
    main()

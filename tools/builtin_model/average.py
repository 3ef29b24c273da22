"""Writes the mean of two trained folders' weights. Knows nothing of how they were trained.

    python -m tools.builtin_model.average FOLDER FOLDER [OUT]

Two stages of one training lie close enough for their mean to be a model as well, with some of what each is good at.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.builtin_model import evaluate


def main() -> None:
    """Average, and write to OUT or the package."""
    folders = [Path(name) for name in sys.argv[1:]]
    first, second = evaluate.load(folders[0]), evaluate.load(folders[1])
    weights = second.state_dict()
    mean = {name: (tensor + weights[name]) / 2 for name, tensor in first.state_dict().items()}
    second.load_state_dict(mean)
    evaluate.write(second, folders[2] if len(folders) > 2 else evaluate.BUILTIN)


if __name__ == "__main__":
    main()

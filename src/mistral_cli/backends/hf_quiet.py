"""Keeps the words of transformers, accelerate and bitsandbytes off the screen: what is wrong is said by us."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TALKERS = ("accelerate", "bitsandbytes", "transformers")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence their logs, progress bars and warnings in this block; afterwards all is as it was."""
    from transformers.utils import logging as theirs  # noqa: PLC0415 (transformers may be absent, which is said later)

    had_bars = theirs.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    theirs.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if had_bars:
            theirs.enable_progress_bar()

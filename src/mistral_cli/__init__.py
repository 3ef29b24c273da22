"""Run a Mistral model from a terminal, or from Python: ``llm = mistral_cli.load(MODEL)``.

Importing this package costs nothing: ``load`` and ``SamplingParams`` are reached when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be imported before Ctrl-C is settled, and takes longer than all the rest
if TYPE_CHECKING:
    from mistral_cli.api import LLM, load
    from mistral_cli.contract import Done, Message, SamplingParams, TextDelta

__version__ = "0.1.0"
__all__ = ["LLM", "Done", "Message", "SamplingParams", "TextDelta", "__version__", "load"]

_HOMES = {
    "LLM": "api",
    "load": "api",
    "Done": "contract",
    "Message": "contract",
    "SamplingParams": "contract",
    "TextDelta": "contract",
}


def __getattr__(name: str) -> object:
    """Import ``name`` from its module at the first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (not needed by --help)

    return getattr(import_module(f"mistral_cli.{_HOMES[name]}"), name)

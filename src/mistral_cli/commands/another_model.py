"""Other models for a chat: whether one would load, the memory of the old one, and the way back.

The tensor tower is entered here, but only once there is something to free or to check.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from mistral_cli.commands.ending import ENDING
from mistral_cli.contract import Backend
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console


@dataclass(slots=True, kw_only=True)
class AnotherModel:
    """Loads one model after another; remembers the settings of the last that was loaded."""

    settings: Settings
    """Those of the model that answers. The adapters of these are not loaded: the chat knows which are on its model."""
    console: Console
    open: Callable[[Settings, Console], Backend]

    def check(self, name: str) -> bool:
        """Check what can be checked while the old model is still there: name, files, config, tokenizer, memory.

        Returns:
            whether it is the one that was loaded last.

        Raises:
            MistralError: as ``open_backend``; a base model, which cannot chat.
        """
        from mistral_cli.commands.loading import check_backend
        from mistral_cli.weights.hub import default_model, full_name

        if self.settings.revision is None and full_name(name) == full_name(self.settings.model or default_model()):
            return True
        if not check_backend(self._settings_of(name), self.console):
            raise UsageError(f"{name} is a base model without a chat template, so it cannot chat.")
        return False

    def load(self, name: str) -> Backend:
        """Load a model by its name, into the memory that the old one leaves: nobody may hold that any more.

        Raises:
            MistralError: as ``open_backend``.
        """
        settings = self._settings_of(name)
        backend = self._load(settings)
        self.settings = settings
        return backend

    def reload(self) -> Backend:
        """Load the last one again.

        Raises:
            MistralError: as ``open_backend``: its files may be gone meanwhile.
        """
        return self._load(self.settings)

    def _load(self, settings: Settings) -> Backend:
        ENDING.outlive_ctrl_c()  # it ended the loading of a model, not the chat
        free_memory()
        return self.open(replace(settings, adapter=()), self.console)

    def _settings_of(self, name: str) -> Settings:
        return replace(self.settings, model=name, revision=None, adapter=())


def free_memory() -> None:
    """Give back what nobody refers to any more: to the system, and to the device's other programs."""
    gc.unfreeze()  # what was loaded was put aside as staying to the end
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    _trim_heap()


def _trim_heap() -> None:
    """Let the C library give small blocks back, too; glibc keeps them until it is asked."""
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # musl has none
            trim(0)

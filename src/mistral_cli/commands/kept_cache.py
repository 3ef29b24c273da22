"""The caches of chats on this disk: put there when a chat is left, taken back when it goes on, gone with it.

Whether that is wanted, ``keep_cache`` says; what is there is removed with its chat all the same.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.sizes import size
from mistral_cli.contract import Backend
from mistral_cli.errors import StoreError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.backends.native_caches import NativeCaches
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.chat.session import Session
    from mistral_cli.engine.kv_store import KVStore

PATIENCE: Final = 3.0
"""Seconds, and as many for each GB, that writing may take when a signal ends the program."""


def open_kept_caches(settings: Settings, console: Console) -> KVStore:
    """Return the folder of the caches of chats, bounded as the settings say."""
    from mistral_cli.engine.kv_store import FOLDER, KVStore

    return KVStore(folder=places().cache / FOLDER, limit=settings.keep_cache_limit, notice=console.notice)


def forget_caches(settings: Settings, console: Console, *sessions: Session) -> None:
    """Remove what is kept of the caches of chats; where that cannot be done, that is said."""
    try:
        open_kept_caches(settings, console).forget(*map(chat_key, sessions))
    except OSError as error:
        console.warning(f"A kept cache cannot be removed: {error}.")


def chat_key(session: Session) -> str:
    """Return what a chat is known by among caches: a number alone may come again in another database."""
    return f"{session.id}@{session.created}"


@dataclass(slots=True, kw_only=True)
class KeptCaches:
    """See ``chat.caching.Caches``."""

    settings: Settings
    console: Console
    _has_warned: bool = False

    @property
    def is_on(self) -> bool:
        """Tell whether anything is to be kept."""
        return self.settings.keep_cache and self.settings.store

    def begin(self, backend: Backend) -> None:
        """Say where nothing can be kept although that was asked for."""
        if self.is_on and _caches(backend) is None:
            self.console.notice("No cache of this chat is kept: only our own engine keeps them (--backend native).")

    def enter(self, backend: Backend) -> None:
        """Let the next prompt take what was kept."""
        caches = _caches(backend)
        if caches is not None and self.is_on:
            caches.expect(open_kept_caches(self.settings, self.console))

    def leave(self, backend: Backend, keeper: Keeper) -> None:
        """Keep the cache of the chat that is left, if that was asked for and the chat is kept and still there."""
        caches = _caches(backend)
        if caches is None:
            return
        if self.is_on and _is_kept(keeper):
            self._put(caches, keeper)
        caches.expect(None)
        caches.leave()

    def forget(self, *sessions: Session) -> None:
        """Remove what was kept of chats that are deleted."""
        forget_caches(self.settings, self.console, *sessions)

    def _put(self, caches: NativeCaches, keeper: Keeper) -> None:
        session, store = keeper.session, open_kept_caches(self.settings, self.console)
        if session is None:
            return
        is_hurried = ENDING.number not in (None, signal.SIGINT)
        if not is_hurried:
            self.console.status(f"Keeping the cache of {session.name} …")
        try:
            nbytes = caches.put(store, chat_key(session), _watch(caches.nbytes) if is_hurried else _be_patient)
            if not _is_kept(keeper):  # deleted by another terminal meanwhile
                store.forget(chat_key(session))
            elif nbytes and not is_hurried:
                self.console.notice(f"The cache of {session.name} is kept: {size(nbytes)}.")
        except (OSError, MemoryError) as error:
            self._warn(error, store)
        finally:
            self.console.clear_status()

    def _warn(self, error: OSError | MemoryError, store: KVStore) -> None:
        if not self._has_warned:
            self._has_warned = True
            reason = getattr(error, "strerror", None) or str(error) or "no memory"
            told = f"The cache of this chat cannot be kept in {store.folder}: {reason}."
            self.console.warning(f"{told} The chat itself is kept; it is read anew when it goes on.")


def _caches(backend: Backend) -> NativeCaches | None:
    """Return what keeps a back end's caches: our own engine's alone has it."""
    return getattr(backend, "caches", None)


def _is_kept(keeper: Keeper) -> bool:
    try:
        return keeper.store is not None and keeper.session is not None and keeper.store.holds(keeper.session.id)
    except StoreError:
        return False


def _be_patient() -> None:
    """Let writing take its time: Ctrl-C ends it."""


def _watch(nbytes: int) -> Callable[[], None]:
    """Return what gives up writing so many bytes when it takes too long for a program that was told to end."""
    latest = time.monotonic() + PATIENCE * (1 + nbytes / 1e9)

    def check() -> None:
        if time.monotonic() > latest:
            raise TimeoutError("it took too long for a program that is told to end")

    return check

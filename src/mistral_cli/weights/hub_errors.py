"""What the hub's library raises, in our words. Repeats nothing it says: an address or a header may hold a token."""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from huggingface_hub import constants, errors, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError  # httpx's, or that of whatever the library is built on

from mistral_cli.errors import MistralError, ModelNotFoundError, NetworkError
from mistral_cli.weights.hub_cache import cached_ids
from mistral_cli.weights.hub_names import KNOWN_MODELS, find_closest

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnreachableError(NetworkError):
    """The hub gave no answer, stopped in the middle of one, or may not be asked (7)."""


LOG_IN = "log in with `hf auth login` (or set HF_TOKEN)"


@contextmanager
def translated(repo_id: str, revision: str | None = None, *, hint: str = "") -> Iterator[None]:
    """Turn what the library raises inside into one of our errors; ``hint`` is what to do where the network broke.

    Raises:
        ModelNotFoundError: the hub has no such repository or revision.
        NetworkError: the hub cannot be reached, or does not let us in.
        MistralError: the cache cannot be written.
    """
    try:
        yield
    except (HTTPError, OSError) as error:
        ours = translate(error, repo_id, revision)
        ours.hint = hint if hint and isinstance(ours, UnreachableError) else ours.hint
        raise ours from None  # the library's message may quote an address that is signed, even in a traceback


def translate(error: Exception, repo_id: str, revision: str | None = None) -> MistralError:
    """Return our error for one of the library's; the cases from the most to the least particular."""
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return translate(error.__cause__, repo_id, revision)  # the library's summary; the cause says more
    if isinstance(error, errors.GatedRepoError):
        return gated(repo_id)
    if isinstance(error, errors.RevisionNotFoundError):
        message = f"{repo_id} has no revision {revision or 'main'} at the hub."
        return ModelNotFoundError(message, f"See what there is: {page(repo_id)}/tree/main")
    if isinstance(error, errors.RepositoryNotFoundError):
        return _not_at_the_hub(repo_id)
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return NetworkError(f"The hub lists a file of {repo_id} and then does not have it.", "Try again later.")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo_id)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachableError("The hub is not asked while HF_HUB_OFFLINE is set.", "Unset it to fetch a model.")
    return _not_reached(error)


def page(repo_id: str) -> str:
    """Return the address of a model's page."""
    return f"{constants.ENDPOINT}/{repo_id}"


def gated(repo_id: str) -> NetworkError:
    """Return the error for a repository whose conditions have not been accepted, or not by whoever is logged in."""
    message = f"{repo_id} is gated: the hub gives it only to those who accepted its conditions."
    then = f"then {LOG_IN}" if get_token() is None else "with the account you are logged in as, and try again"
    return NetworkError(message, f"Accept them at {page(repo_id)}, {then}.")


def _not_at_the_hub(repo_id: str) -> ModelNotFoundError:
    closest = find_closest(repo_id, sorted({*KNOWN_MODELS, *cached_ids()} - {repo_id}))
    suggestion = f"Did you mean {closest}? " if closest else ""
    return ModelNotFoundError(f"The hub has no model {repo_id}.", f"{suggestion}If it is private, {LOG_IN}.")


def _refused(error: HfHubHTTPError, repo_id: str) -> MistralError:
    """Return the error for an answer that says no."""
    status = error.response.status_code
    if status == 401:
        return NetworkError("The hub does not accept your token (401).", f"Get a new one: {LOG_IN}.")
    if status == 403:
        return NetworkError(f"The hub does not let you have {repo_id} (403).", f"See {page(repo_id)}, and {LOG_IN}.")
    if status == 429:
        return NetworkError("The hub has had too many requests from here (429).", f"Wait some minutes, or {LOG_IN}.")
    return UnreachableError(f"The hub answered {repo_id} with error {status}.", "Try again later.")


def _not_reached(error: Exception) -> MistralError:
    """Return the error for no answer at all, or for a disk that does not take what was fetched."""
    is_of_the_network = isinstance(error, (HTTPError, ConnectionError, TimeoutError, socket.gaierror))
    if isinstance(error, OSError) and error.errno is not None and not is_of_the_network:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Make room; what came is kept." if is_full else "Set HF_HOME to a folder that you may write to."
        return MistralError(f"The hub's cache cannot be written: {error.strerror}.", hint)
    host = urlsplit(constants.ENDPOINT).hostname or "the hub"
    reason = _reason(error, _system_error(error))
    return UnreachableError(
        f"The hub cannot be reached: {host} {reason}.", "Check the network (and HTTPS_PROXY if any)."
    )


def _system_error(error: BaseException) -> OSError | None:
    """Return the operating system's own error in the chain of causes, if any."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(error: Exception, cause: OSError | None) -> str:
    """Say in words why there was no answer, without quoting a library that may quote a token."""
    if isinstance(cause, socket.gaierror):
        return "has no address here"
    if isinstance(cause, ConnectionRefusedError):
        return "refuses the connection"
    if "Timeout" in type(error).__name__:
        return "does not answer in time"
    if "Proxy" in type(error).__name__:
        return "is behind a proxy that refuses"
    return f"broke the connection ({type(error).__name__})"

"""What the hub's library raises, in our words: the cases that no stand-in on this machine can bring about."""

from __future__ import annotations

import errno
import socket

import pytest
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

from mistral_cli.errors import MistralError, NetworkError
from mistral_cli.weights.hub_errors import translate, translated


class ProxyError(HTTPError):
    """Stands for the HTTP library's own, which has this name."""


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (caused_by(HTTPError("[Errno -2]"), socket.gaierror(-2, "Name or service not known")), "has no address here"),
        (ProxyError("407 for http://user:hf_secret@proxy"), "is behind a proxy that refuses"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "broke the connection"),
        (TimeoutError("timed out"), "does not answer in time"),
        (caused_by(LocalEntryNotFoundError("A long summary."), TimeoutError("timed out")), "does not answer in time"),
        (LocalEntryNotFoundError("A long summary."), "broke the connection (LocalEntryNotFoundError)"),
    ],
)
def test_why_the_hub_cannot_be_reached_is_said_in_words(error: Exception, words: str) -> None:
    ours = translate(error, "owner/model")
    assert isinstance(ours, NetworkError)
    assert words in ours.message
    assert "hf_secret" not in f"{ours}"


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "what came is kept"), (errno.EROFS, "HF_HOME"), (errno.EACCES, "HF_HOME")]
)
def test_a_disk_that_does_not_take_it_is_no_fault_of_the_network(number: int, hint: str) -> None:
    ours = translate(OSError(number, "No"), "owner/model")
    assert ours.exit_code == 1
    assert hint in ours.hint


def test_a_hint_of_the_caller_stands_only_where_the_network_broke() -> None:
    for error, hint in ((TimeoutError("late"), "Go on."), (OSError(errno.ENOSPC, "full"), "Make room")):
        with pytest.raises(MistralError) as caught, translated("owner/model", hint="Go on."):
            raise error
        assert caught.value.hint.startswith(hint)

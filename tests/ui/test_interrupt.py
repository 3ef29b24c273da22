"""Ctrl-C sets a flag first and leaves second."""

from __future__ import annotations

import math
import os
import signal
import threading

import pytest

from mistral_cli.ui.interrupt import Interrupt


def _ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_sets_the_flag_and_the_second_leaves() -> None:
    with Interrupt() as cancel:
        assert not cancel.is_set()
        _ctrl_c()
        assert cancel.is_set()
        with pytest.raises(KeyboardInterrupt):
            _ctrl_c()


def test_one_after_something_else_was_done_is_the_first_again() -> None:
    cancel = Interrupt(window=60.0)
    for _ in range(2):
        with cancel:
            _ctrl_c()
            assert cancel.is_set()
        cancel.forget()


def test_a_second_one_after_the_window_does_not_leave() -> None:
    cancel = Interrupt(window=1.0)
    with cancel:
        _ctrl_c()
        cancel.last -= 1.5
        _ctrl_c()
        assert cancel.is_set()


def test_the_flag_is_new_each_time_but_the_window_goes_on() -> None:
    cancel = Interrupt(window=math.inf)
    with cancel:
        _ctrl_c()
    with cancel:
        assert not cancel.is_set()
        with pytest.raises(KeyboardInterrupt):
            _ctrl_c()


def test_outside_it_ctrl_c_is_what_it_was_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as cancel:
            _ctrl_c()
            assert not cancel.is_set()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_it_touches_no_signal() -> None:
    handlers = []

    def enter() -> None:
        with Interrupt():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]

"""The roof: the program made of its commands; errors become one line and an exit code. Knows no command's insides."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Final, NoReturn

import typer

from mistral_cli import __version__
from mistral_cli.commands.as_typed import take_as_typed
from mistral_cli.commands.ending import ENDING, unwind_on, unwinding_on_ctrl_c
from mistral_cli.commands.lazy import CONTEXT, Color, Debug, LazyGroup
from mistral_cli.commands.misuse import explain
from mistral_cli.commands.start import Invocation
from mistral_cli.commands.table import COMMANDS
from mistral_cli.errors import MistralError, OutOfMemoryError
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin

PROGRAM: Final = "mistral"
CLOSED_PIPE: Final = 141
INTERRUPTED: Final = 130


class Program(LazyGroup):
    """``mistral``: the table of commands."""

    rows = COMMANDS


def _version(value: bool) -> None:
    if value:
        typer.echo(f"mistral-cli {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_version, expose_value=False, is_eager=True, help="Show the version and exit."),
]


def _root(
    ctx: typer.Context,
    color: Color = None,  # noqa: ARG001 (typer reads the signature)
    debug: Debug = False,  # noqa: ARG001
    version: Version = False,  # noqa: ARG001
) -> None:
    """Run Mistral models on your own machine: one answer, a conversation, or a part of a pipe.

    Without a command, on a terminal: `mistral chat`.
    """
    if ctx.invoked_subcommand is None:
        _without_command(ctx)


def _without_command(ctx: Any) -> None:
    if Stdin.open().is_terminal and Console.open().out.is_terminal:
        chat = ctx.command.get_command(ctx, "chat")
        chat.invoke(chat.make_context("chat", [], parent=ctx))
    else:
        typer.echo(ctx.get_help())


def build() -> Any:
    """Return the whole program as typer's command object."""
    app = typer.Typer(cls=Program, add_completion=False, rich_markup_mode=None, context_settings=CONTEXT)
    app.callback(invoke_without_command=True)(_root)
    program = typer.main.get_command(app)
    take_as_typed(*program.params)
    return program


# -- errors into one line and an exit code ---------------------------------------------------------------------------


def run(args: list[str], invocation: Invocation) -> int:
    """Run one command; return its exit code.

    Raises:
        MistralError, typer.TyperException, OSError, KeyboardInterrupt: the command failed or was stopped.
    """
    program = build()
    try:
        with program.make_context(PROGRAM, args, obj=invocation) as ctx:
            code = program.invoke(ctx)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Exit as leaving:
        code = leaving.exit_code
    except typer.TyperException as error:
        raise explain(error, PROGRAM, [row.name for row in COMMANDS], args) from error
    return code if isinstance(code, int) else 0


def guarded(job: Callable[[Invocation], int]) -> int:
    """Do ``job``; say in one line why it failed, and return the exit code of the contract."""
    invocation = Invocation()
    try:
        with unwinding_on_ctrl_c(), _clear_screen(invocation):
            return job(invocation)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return CLOSED_PIPE
    except MistralError as error:
        return _report(error, invocation)
    except OSError as error:
        _abandon_stdout()
        return _report(MistralError(_describe(error)), invocation)
    except MemoryError:
        return _report(OutOfMemoryError("The machine has no memory left."), invocation)
    except Exception as error:  # noqa: BLE001 (the last net: a defect of ours is told in one line, too)
        if ENDING.number is not None:  # an import that a signal broke may fail with anything: no defect of ours
            return 128 + ENDING.number
        text = f"Unexpected {type(error).__name__}: {error}."
        return _report(MistralError(text, "This is a defect: run again with --debug and report it."), invocation)
    finally:
        ENDING.number = None


@contextlib.contextmanager
def _clear_screen(invocation: Invocation) -> Iterator[None]:
    """Leave no line of progress behind, however the command ends: an error or the shell's prompt would follow it."""
    try:
        yield
    finally:
        if invocation.console is not None:
            invocation.console.clear_status()


def _describe(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{what}: {error.filename}." if error.filename else f"{what}."


def _report(error: MistralError, invocation: Invocation) -> int:
    """Say what went wrong and return its code; after a signal it is that which ended us, whatever broke on the way."""
    with contextlib.suppress(OSError):  # the terminal is gone: nobody reads it
        if invocation.debug:
            traceback.print_exc()
        Console.open(choice=invocation.color or "auto").error(error)
    return error.exit_code if ENDING.number is None else 128 + ENDING.number


def _abandon_stdout() -> None:
    """Send what still waits for stdout nowhere, so that the interpreter does not complain about it at its end."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _use_utf8() -> None:
    """Read and write UTF-8 whatever the locale says: no locale may make a question or an answer fail."""
    for stream, errors in (
        (sys.stdin, "surrogateescape"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


def prepare_process() -> None:
    """Make this process keep the contract: UTF-8 whatever the locale, and an orderly end at SIGTERM and SIGHUP."""
    _use_utf8()
    unwind_on("SIGTERM", "SIGHUP")


def main() -> NoReturn:
    """Run ``mistral``."""
    prepare_process()
    code = guarded(partial(run, sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the interpreter ends: no traceback
    gc.freeze()  # or a third of a second goes into freeing, one by one, what ends with the process anyway
    sys.exit(code)

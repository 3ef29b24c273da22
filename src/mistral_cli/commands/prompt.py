"""The prompt of a one-shot: words, files and stdin become messages or raw text. Loads no model."""

from __future__ import annotations

from dataclasses import dataclass

from mistral_cli.commands.template import Template
from mistral_cli.contract import Message, Prompt
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin, read_file, strip_line_end

BETWEEN = "\n\n"


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads the inputs that the settings name; stdin once."""

    stdin: Stdin
    console: Console
    stdin_is_taken: bool = False

    def read(self, name: str) -> str:
        """Return the text of a file, or of stdin where ``name`` is ``-``.

        Raises:
            UsageError: the file cannot be read, or stdin is asked for twice.
            ContextError: it is larger than any context.
        """
        if name != "-":
            return read_file(name, self.console.warning)
        if self.stdin_is_taken:
            raise UsageError("stdin (`-`) is asked for twice.", "It can be read once: name a file for the other.")
        self.stdin_is_taken = True
        return self.stdin.read(self.say_waiting, self.console.warning)

    def say_waiting(self) -> None:
        """Tell that stdin gives nothing: an inherited pipe would hold a script for ever without a word."""
        self.console.notice("Waiting for stdin … (--no-stdin leaves it alone)")


def read_system(settings: Settings, reader: Reader) -> str:
    """Return the system prompt, from the flag or its file; empty where there is none."""
    if settings.system_file is not None:
        return strip_line_end(reader.read(settings.system_file))
    return settings.system or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was asked, by where it came from; empty: not given."""

    prompt: str = ""
    files: tuple[str, ...] = ()
    stdin: str = ""

    def joined(self) -> str:
        """Return the prompt, the files and stdin, in this order, a blank line between."""
        return BETWEEN.join(text for text in (self.prompt, *self.files, self.stdin) if text)


def read_inputs(settings: Settings, reader: Reader) -> Inputs:
    """Return the prompt, the files and stdin.

    A file's last line end is not part of it, but for ``--raw``, where every byte counts; a template has its own.

    Raises:
        UsageError: a file cannot be read; ``-f -`` with ``--no-stdin``.
        ContextError: an input larger than any context.
    """
    if "-" in (*settings.file, settings.system_file) and not settings.stdin:
        raise UsageError("`-` names stdin, but --no-stdin leaves it alone.", "Drop one of them.")
    files, stdin = [reader.read(name) for name in settings.file], ""
    if settings.stdin and reader.stdin.is_piped and not reader.stdin_is_taken and not settings.lines:
        stdin = reader.read("-")
    if settings.template is not None or not settings.raw:
        files, stdin = [strip_line_end(text) for text in files], strip_line_end(stdin)
    return Inputs(prompt=settings.prompt or "", files=tuple(files), stdin=stdin)


def build_prompt(
    inputs: Inputs, settings: Settings, system: str, *, is_base: bool, template: Template | None = None
) -> Prompt:
    """Join the inputs, or put them into the template: what the model is sent, as raw text or as messages.

    Raises:
        UsageError: the prompt is empty; a system prompt where no chat format could carry it; as ``Template.fill``.
    """
    if template is None:
        text = inputs.joined()
    else:
        files = BETWEEN.join(filter(None, inputs.files))
        text = template.fill({"prompt": inputs.prompt, "files": files, "stdin": inputs.stdin})
    if not text:
        raise UsageError("The prompt is empty.", "Give it as an argument, with -f FILE, or on stdin.")
    if settings.raw or is_base:
        if system:
            why = "--raw sends the prompt as it is" if settings.raw else "the model has no chat template"
            origin = settings.origins.get("system", "--")
            hint = "Put it into the prompt." if origin.startswith("--") else f"--system '' leaves out that of {origin}."
            raise UsageError(f"A system prompt cannot be sent: {why}.", hint)
        return text + settings.prefix
    messages = [Message(role="system", content=system)] if system else []
    messages.append(Message(role="user", content=text))
    if settings.prefix:
        messages.append(Message(role="assistant", content=settings.prefix, prefix=True))
    return tuple(messages)

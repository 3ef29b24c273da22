"""``mistral gen --lines``: each line of stdin a prompt, one JSON object a line out, in the same order."""

from __future__ import annotations

from mistral_cli.commands.job import Job
from mistral_cli.commands.prompt import Reader
from mistral_cli.errors import ContextError, MistralError, PartialFailureError, UsageError


def answer_lines(job: Job, reader: Reader) -> PartialFailureError | None:
    """Answer every line; return what to raise in the end where some failed (each has an object with its error)."""
    failed = count = 0
    for text in reader.stdin.lines(reader.say_waiting, reader.console.warning):
        count += 1
        failed += not _answer_line(job, count, text)
        if job.cancel.is_set():
            break
    if not failed:
        return None
    return PartialFailureError(f"{failed} of {count} lines failed.", 'Each has an object that says why: "error".')


def _answer_line(job: Job, number: int, text: str | ContextError) -> bool:
    """Answer one line; tell whether that went well."""
    form = job.json(line=number)
    try:
        if isinstance(text, ContextError):
            raise text
        if not text:
            raise UsageError("The line is empty.")
        job.answer(job.prompt(text), form)
    except MistralError as error:
        form.write({"line": number, "error": str(error), "exit_code": error.exit_code})
        return False
    return True

"""``mistral gen --lines``: each line of stdin a prompt, one JSON object a line out, in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mistral_cli.commands.answer import answer
from mistral_cli.commands.forms import Json, describe
from mistral_cli.commands.output import Target
from mistral_cli.commands.prompt import Reader, build_prompt
from mistral_cli.contract import Backend, Done, SamplingParams, TokenInfo
from mistral_cli.errors import MistralError, PartialFailureError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.events import stats_line
from mistral_cli.ui.interrupt import Interrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all lines have in common."""

    backend: Backend
    params: SamplingParams
    settings: Settings
    parts: list[str]
    """What stands before each line: the prompt and the files."""
    system: str
    target: Target

    def run(self, reader: Reader, cancel: Interrupt) -> None:
        """Answer every line.

        Raises:
            PartialFailureError: some lines failed; each has an object with its error.
        """
        failed = count = 0
        for text in reader.stdin.lines(reader.say_waiting, reader.console.warning):
            count += 1
            failed += not self._answer_line(count, text, reader, cancel)
            if cancel.is_set():
                return
        if failed:
            raise PartialFailureError(f"{failed} of {count} lines failed.", 'Their objects hold the reason in "error".')

    def _answer_line(self, number: int, text: str, reader: Reader, cancel: Interrupt) -> bool:
        def describe_line(done: Done, tokens: list[TokenInfo]) -> dict[str, Any]:
            extracts, info = self.settings.extract, self.backend.info
            return {"line": number, **describe(done, tokens, info=info, params=self.params, extracts=extracts)}

        console, form = reader.console, Json(target=self.target, describe=describe_line)
        try:
            if not text:
                raise UsageError("The line is empty.")
            is_base = self.backend.info.is_base
            prompt = build_prompt([*self.parts, text], self.settings, self.system, is_base=is_base)
            done = answer(self.backend, prompt, self.params, form=form, console=console, cancel=cancel)
        except MistralError as error:
            form.write({"line": number, "error": str(error), "exit_code": error.exit_code})
            return False
        if self.settings.stats:
            console.stats(f"line {number}: {stats_line(done)}")
        return True

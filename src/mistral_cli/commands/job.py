"""What the answers of one run have in common: the model, the parameters, the words around, where it all goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from mistral_cli.commands.answer import answer
from mistral_cli.commands.forms import CodeBlock, Form, Json, Plain, Rendered, describe
from mistral_cli.commands.output import Target
from mistral_cli.commands.prompt import build_prompt
from mistral_cli.contract import Backend, Done, Prompt, SamplingParams, TokenInfo
from mistral_cli.settings.options import Settings
from mistral_cli.ui.answer import Wrapped
from mistral_cli.ui.console import Console
from mistral_cli.ui.events import stats_line
from mistral_cli.ui.interrupt import Interrupt
from mistral_cli.ui.markdown.writer import MarkdownWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of ``gen``, loaded and ready to answer."""

    backend: Backend
    params: SamplingParams
    settings: Settings
    system: str
    parts: list[str]
    """The prompt, the files, stdin: what is joined into the question."""
    target: Target
    console: Console
    cancel: Interrupt

    def prompt(self, *more: str) -> Prompt:
        """Return what the model is sent, ``more`` after the parts.

        Raises:
            UsageError: as ``build_prompt``.
        """
        return build_prompt([*self.parts, *more], self.settings, self.system, is_base=self.backend.info.is_base)

    def answer(self, prompt: Prompt, form: Form) -> None:
        """Answer ``prompt`` into ``form``; Ctrl-C meanwhile is only noted, in ``cancel``.

        Raises:
            MistralError: what the back end or the form raises.
        """
        with self.cancel:
            done = answer(self.backend, prompt, self.params, form=form, console=self.console, cancel=self.cancel)
        if self.settings.stats:
            self.console.stats(stats_line(done, self.backend.info.quantization, self.backend.info.kv))

    def choose_form(self) -> Form:
        """Return the form that the settings ask for, where ``--markdown`` is for terminals (and forced colour) only."""
        out = self.console.out
        if self.settings.json:
            return self.json()
        if self.settings.extract:
            return CodeBlock(target=self.target)
        is_shown = self.settings.output is None
        if self.settings.markdown and is_shown and (out.is_terminal or out.color):
            return Rendered(writer=MarkdownWriter(console=self.console))
        if self.settings.plain and is_shown and out.is_terminal:
            return Rendered(writer=Wrapped(self.console))
        return Plain(target=self.target)

    def json(self, **labels: object) -> Json:
        """Return the form of one JSON object, ``labels`` first in it."""
        return Json(target=self.target, describe=partial(self._describe, labels))

    def _describe(self, labels: dict[str, object], done: Done, tokens: list[TokenInfo]) -> dict[str, Any]:
        extracts = self.settings.extract
        return labels | describe(done, tokens, info=self.backend.info, params=self.params, extracts=extracts)

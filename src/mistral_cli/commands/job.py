"""What the answers of one run have in common: the model, the parameters, the words around, where it all goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mistral_cli.commands.answer import answer
from mistral_cli.commands.forms import CodeBlock, Form, Json, Plain, Rendered, Tinted, Trimmed, describe
from mistral_cli.commands.output import Target
from mistral_cli.commands.prompt import Inputs, build_prompt
from mistral_cli.commands.template import Template
from mistral_cli.contract import Backend, Done, Prompt, SamplingParams, TokenInfo
from mistral_cli.settings.options import Settings
from mistral_cli.ui.answer import Wrapped
from mistral_cli.ui.confidence import TintedWriter
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
    inputs: Inputs
    template: Template | None
    target: Target
    console: Console
    cancel: Interrupt

    def prompt(self, line: str | None = None) -> Prompt:
        """Return what the model is sent; a ``line`` stands for stdin.

        Raises:
            UsageError: as ``build_prompt``.
        """
        inputs = self.inputs if line is None else replace(self.inputs, stdin=line)
        is_base = self.backend.info.is_base
        return build_prompt(inputs, self.settings, self.system, is_base=is_base, template=self.template)

    def answer(self, prompt: Prompt, form: Form) -> None:
        """Answer ``prompt`` into ``form``; Ctrl-C meanwhile is only noted, in ``cancel``.

        Raises:
            MistralError: what the back end or the form raises.
        """
        params = self.params
        if self.settings.confidence and params.logprobs is None:
            params = replace(params, logprobs=0)
        with self.cancel:
            done = answer(self.backend, prompt, params, form=form, console=self.console, cancel=self.cancel)
        if self.settings.stats:
            info = self.backend.info
            self.console.stats(stats_line(done, info.quantization, info.kv, adapters=info.adapters))

    def choose_form(self) -> Form:
        """Return the form that the settings ask for, where ``--markdown`` is for terminals (and forced colour) only."""
        out = self.console.out
        if self.settings.json:
            return self.json()
        if self.settings.extract:
            return CodeBlock(target=self.target)
        is_shown = self.settings.output is None
        form: Form = Plain(target=self.target)
        if self.settings.confidence and is_shown and (out.can_redraw or out.color):
            form = Tinted(writer=TintedWriter(self.console))
        elif self.settings.markdown and is_shown and (out.is_terminal or out.color):
            form = Rendered(writer=MarkdownWriter(console=self.console))
        elif self.settings.plain and is_shown and out.is_terminal:
            form = Rendered(writer=Wrapped(self.console))
        return Trimmed(form=form) if self.settings.trim else form

    def json(self, **labels: object) -> Json:
        """Return the form of one JSON object, ``labels`` first in it."""
        return Json(target=self.target, describe=partial(self._describe, labels))

    def _describe(self, labels: dict[str, object], done: Done, tokens: list[TokenInfo]) -> dict[str, Any]:
        extracts = self.settings.extract
        done = replace(done, text=done.text.strip()) if self.settings.trim else done
        return labels | describe(done, tokens, info=self.backend.info, params=self.params, extracts=extracts)

"""Rows become examples: which columns make which kind, one table. Knows no file, no tokenizer and no ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.contract import Message
from mistral_cli.errors import UsageError
from mistral_cli.text.messages import Conversation, build_conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mistral_cli.tune.rows import Row

TRANSLATION = "Translate: {source} → {target}\n{source}: {text}\n{target}:"
"""What a model that was tuned for translation goes on from; its answer ends at the newline."""

LANGUAGES = {
    "ar": "Arabic",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "hu": "Hungarian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh": "Chinese",
}
"""Code of a language -> its name; a language that is not here goes by the name that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Raw text that goes on: no chat format touches either part."""

    prompt: str
    completion: str
    """What is trained, with the space it begins with."""


Example = Conversation | Completion
"""What a model learns from one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """Which way a translation goes: the codes, or names, of two languages."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of row."""

    name: str
    columns: tuple[str, ...]
    """Those without which a row is not of this kind."""
    build: Callable[[Mapping[str, object], Languages | None], Example]
    """Make an example of a row's columns; raises ``UsageError``."""


def build_example(row: Row, form: Format, columns: Mapping[str, str], languages: Languages | None) -> Example:
    """Return what one row teaches.

    Args:
        row: as it was read.
        form: its kind.
        columns: our name of a column -> the data's own.
        languages: for translations.

    Raises:
        UsageError: the row cannot be read, lacks a column, or holds something else than it should.
    """
    if row.columns is None:
        raise UsageError(row.error)
    return form.build(renamed(row.columns, columns), languages)


def renamed(values: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, object]:
    """Return ``values`` under our names of the columns; one that is mapped comes before one that is called so."""
    taken = {name: values[theirs] for name, theirs in columns.items() if theirs in values}
    return {name: value for name, value in values.items() if name not in columns.values()} | taken


def find_format(values: Mapping[str, object], languages: Languages | None = None) -> Format | None:
    """Return the kind of a row that has these columns, by our names; None where it is none."""
    if languages is not None and languages.source in values and languages.target in values:
        return FORMATS["translation"]
    return next((form for form in FORMATS.values() if all(name in values for name in form.columns)), None)


def _chat(values: Mapping[str, object], _: Languages | None) -> Conversation:
    conversation = build_conversation(
        {key: values[key] for key in ("messages", "tools") if values.get(key) is not None}
    )
    if not any(message.role == "assistant" for message in conversation.messages):
        raise UsageError("no message of the assistant, so nothing to learn")
    return conversation


_SPEAKERS = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}


def _shared(values: Mapping[str, object], _: Languages | None) -> Conversation:
    """Read the form that ShareGPT made common: ``{"from": "human", "value": …}``."""
    turns = values["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise UsageError("conversations must be a list of objects")
    strange = next((turn.get("from") for turn in turns if turn.get("from") not in _SPEAKERS), None)
    if strange is not None:
        raise UsageError(f"a turn is from {strange!r:.40}, but must be from human, gpt or system")
    messages = [{"role": _SPEAKERS[turn["from"]], "content": turn.get("value")} for turn in turns]
    return _chat({"messages": messages}, None)


def _instruction(values: Mapping[str, object], _: Languages | None) -> Conversation:
    asked = [_text(values, "instruction"), _text(values, "input", may_lack=True)]
    question = "\n\n".join(filter(None, asked))
    return _turn(question, _text(values, "output"), _text(values, "system", may_lack=True))


def _completion(values: Mapping[str, object], _: Languages | None) -> Conversation:
    return _turn(_text(values, "prompt"), _text(values, "completion"), _text(values, "system", may_lack=True))


def _raw(values: Mapping[str, object], _: Languages | None) -> Completion:
    return Completion(prompt=_text(values, "prompt"), completion=_text(values, "completion"))


def _plain(values: Mapping[str, object], _: Languages | None) -> Completion:
    return Completion(prompt="", completion=_text(values, "text"))


def _translation(values: Mapping[str, object], languages: Languages | None) -> Completion:
    if languages is None:
        raise UsageError("which way to translate is not said", "Add --source en --target fr.")
    pair = values.get("translation", values)
    if not isinstance(pair, dict):
        raise UsageError("translation must be an object with a text for each language")
    source, target = (_text(pair, code).strip() for code in (languages.source, languages.target))
    if "\n" in target:
        raise UsageError("the translation has several lines, but an answer ends at the first")
    source = " ".join(source.split("\n"))
    return Completion(prompt=translation_prompt(source, languages), completion=f" {target}\n")


def translation_prompt(text: str, languages: Languages) -> str:
    """Return what a translation of ``text`` goes on from; codes of languages become their names."""
    source, target = (LANGUAGES.get(code, code) for code in (languages.source, languages.target))
    return TRANSLATION.format(source=source, target=target, text=text)


def _turn(question: str, answer: str, system: str) -> Conversation:
    said = [Message(role="user", content=question), Message(role="assistant", content=answer)]
    return Conversation(messages=tuple([Message(role="system", content=system), *said] if system else said))


def _text(values: Mapping[str, object], name: str, *, may_lack: bool = False) -> str:
    value = values.get(name)
    if value is None and may_lack:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {value!r:.40}, but must be text" if name in values else f"{name} is missing")
    if not value.strip() and not may_lack:
        raise UsageError(f"{name} is empty")
    return value


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(name="chat", columns=("messages",), build=_chat),
        Format(name="sharegpt", columns=("conversations",), build=_shared),
        Format(name="instruction", columns=("instruction", "output"), build=_instruction),
        Format(name="completion", columns=("prompt", "completion"), build=_completion),
        Format(name="translation", columns=("translation",), build=_translation),
        Format(name="text", columns=("text",), build=_plain),
        Format(name="raw", columns=("prompt", "completion"), build=_raw),
    )
}
"""Name, as ``--format`` takes it -> the kind; unless it is said, a row is of the first whose columns it has."""

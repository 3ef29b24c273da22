"""The options: one field of ``Settings`` each, with the reader that turns what was given into a value.

A field's name is the config key, in capitals the environment variable, with dashes the flag. Nothing here knows what
an option does or where it was set.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from mistral_cli.limits import LIMITS

YES: Final = ("1", "true", "yes", "on")
NO: Final = ("0", "false", "no", "off")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BEYOND: Final = 2**63
"""Too much for those who work with the number later: torch, SQLite."""
_MOST_THREADS: Final = 1024
"""More than any machine has cores for; a million would end the process."""
_DIGITS: Final = 18
"""Of a number of bytes."""
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?) *(?:([kMGT])(i)?)?B?", re.IGNORECASE)


# -- readers: what a flag, a variable or TOML gives -> a value; ValueError says what it must be ----------------------


def _path(value: object) -> str:
    """Accept any text: the bytes of a file's name, which need not be UTF-8, stay in it as lone surrogates."""
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _text(value: object) -> str:
    return well_formed(_path(value))


def well_formed(text: str) -> str:
    """Put U+FFFD where an argument or a variable was not UTF-8 (Python leaves a lone surrogate there)."""
    return _SURROGATE.sub("\ufffd", text)


def _number(value: object) -> float:
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a number")


def _whole(value: object) -> int:
    try:
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            number = int(value)
            if abs(number) < _BEYOND:
                return number
    except ValueError:
        pass
    raise ValueError("a whole number")


def _natural(value: object) -> int:
    try:
        number = _whole(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError("a whole number, 1 or more")
    return number


def _threads(value: object) -> int:
    number = _natural(value)
    if number > _MOST_THREADS:
        raise ValueError(f"1 to {_MOST_THREADS:,}")
    return number


def _bytes(value: object) -> int:
    """Accept a number of bytes, or one with a unit: ``40GB`` (as disks are sold) or ``40 GiB``."""
    match = _AMOUNT.fullmatch(str(value).strip())
    if match is None or isinstance(value, (bool, float)) or len(match[1]) > _DIGITS:
        raise ValueError("a number of bytes, such as 40GB")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index((prefix or " ").upper()))


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in YES + NO:
        raise ValueError("true or false")
    return word in YES


def _paths(value: object) -> tuple[str, ...]:
    """Accept a list; from the environment, one text or a JSON list of them."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.startswith("[") else [value]
        except json.JSONDecodeError:
            value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise ValueError("a list of texts")
    return tuple(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(well_formed(text) for text in _paths(value))


def _stops(value: object) -> tuple[str, ...]:
    texts = _texts(value)
    if "" in texts:
        raise ValueError("text of one character or more")
    return texts


def _biases(value: object) -> Mapping[int, float]:
    """Accept a table of id -> bias, a list of ``ID=BIAS``, or those in one text with commas between."""
    rows = value.split(",") if isinstance(value, str) else value
    try:
        biases = {_whole(token): _number(bias) for token, bias in _pairs(rows)}
        if all(token >= 0 and math.isfinite(bias) for token, bias in biases.items()):
            return biases
    except ValueError:
        pass
    raise ValueError("ID=BIAS: a token id (0 or more) and a finite number")


def _pairs(rows: object) -> Iterable[Sequence[object]]:
    if isinstance(rows, Mapping):
        return rows.items()
    if isinstance(rows, (list, tuple)):
        return [str(row).split("=") for row in rows]
    raise ValueError("a table or a list")


def _fields(value: object) -> Mapping[str, str]:
    """Accept a table of field -> text, or a list of ``FIELD=TEXT``; one such text alone is a list of one."""
    try:
        if isinstance(value, Mapping):
            pairs = [(name, _text(text)) for name, text in value.items()]
        else:
            pairs = [_pair(text) for text in _texts(value)]
    except ValueError:
        pairs = []
    fields = dict(pairs)
    if not pairs or len(fields) < len(pairs):
        raise ValueError("FIELD=TEXT, each field once")
    return fields


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(text)
    return name.strip(), value


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"{', '.join(choices[:-1])} or {choices[-1]}")
        return str(value)

    return read


def _option(read: Callable[[object], object], default: object = None) -> Any:
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"read": read})
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every option of every command, after all that set it. None: nobody did."""

    # what is asked
    prompt: str | None = _option(_text)
    file: tuple[str, ...] = _option(_paths, ())
    stdin: bool = _option(_switch, True)
    template: str | None = _option(_path)
    set: Mapping[str, str] = _option(_fields, {})
    role: str | None = _option(_text)
    system: str | None = _option(_text)
    system_file: str | None = _option(_path)
    prefix: str = _option(_text, "")
    script: str | None = _option(_path)
    raw: bool = _option(_switch, False)
    lines: bool = _option(_switch, False)
    batch: int | None = _option(_natural)
    # which model, and how it runs
    model: str | None = _option(_path)
    revision: str | None = _option(_text)
    model_folders: tuple[str, ...] = _option(_paths, ())
    chat_template: str | None = _option(_text)
    adapter: tuple[str, ...] = _option(_paths, ())
    backend: str | None = _option(_one_of("native", "hf"))
    dtype: str | None = _option(_one_of("bfloat16", "float16", "float32", "float64"))
    quantize: str | None = _option(_one_of("none", "nf4", "int8", "int4"))
    kv: str = _option(_one_of("none", "int8"), "none")
    device: str | None = _option(_text)
    compile: bool = _option(_switch, False)
    context: int | None = _option(_natural)
    threads: int | None = _option(_threads)
    cache_limit: int | None = _option(_bytes)
    # how the next token is drawn, and when an answer ends
    temperature: float | None = _option(_number)
    top_p: float | None = _option(_number)
    top_k: int | None = _option(_whole)
    min_p: float | None = _option(_number)
    repetition_penalty: float | None = _option(_number)
    presence_penalty: float | None = _option(_number)
    frequency_penalty: float | None = _option(_number)
    logit_bias: Mapping[int, float] = _option(_biases, {})
    seed: int | None = _option(_whole)
    max_tokens: int | None = _option(_whole)
    stop: tuple[str, ...] = _option(_stops, ())
    order: str | None = _option(_one_of("temperature-first", "temperature-last"))
    logprobs: int | None = _option(_whole)
    watchdog: bool | None = _option(_switch)
    # where a chat is kept, and what is done when the context is full
    overflow: str | None = _option(_one_of("error", "drop-oldest"))
    keys: str = _option(_one_of("emacs", "vi"), "emacs")
    resume: str | None = _option(_text)
    store: bool = _option(_switch, True)
    keep_cache: bool = _option(_switch, False)
    keep_cache_limit: int = _option(_bytes, 8 * 10**9)
    # how the answer is shown
    json: bool = _option(_switch, False)
    output: str | None = _option(_path)
    extract: bool = _option(_switch, False)
    trim: bool = _option(_switch, False)
    markdown: bool = _option(_switch, False)
    confidence: bool = _option(_switch, False)
    plain: bool = _option(_switch, False)
    stats: bool = _option(_switch, False)
    quiet: bool = _option(_switch, False)
    color: str = _option(_one_of("auto", "always", "never"), "auto")
    debug: bool = _option(_switch, False)

    origins: Mapping[str, str] = field(default_factory=dict)
    """Option -> who set it, as a person names it: ``--top-p``, ``MISTRAL_CLI_TOP_P``, ``…/config.toml:3: top_p``."""
    warnings: tuple[str, ...] = ()
    """Unknown keys and variables: for stderr, once."""

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of ``names`` that somebody set."""
        return {name: getattr(self, name) for name in names if name in self.origins}


OPTIONS: Final = {option.name: option for option in fields(Settings) if "read" in option.metadata}
SAMPLING: Final = (*(name for name in OPTIONS if name in LIMITS), "logit_bias", "stop", "order", "watchdog")
"""The options that are fields of ``SamplingParams``."""
ONE_OF_TWO: Final = (("system", "system_file"),)
"""Options that replace each other: the stronger place wins; both in one place is an error."""

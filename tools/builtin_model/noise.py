"""The ways in which people's typing differs: case, punctuation, politeness, slips. Knows no topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
    "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "wa", "r": "et",
    "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
_DROPPABLE = {"the", "a", "an", "do", "does", "i", "to", "is", "of", "my", "it", "can", "me", "there", "for"}


def dress(question: str, before: Sequence[str], after: Sequence[str], rng: Random) -> str:
    """Put a greeting, an excuse or a context around a question, or leave it alone (most often)."""
    if rng.random() < 0.24:
        question = rng.choice(before) + question
    if rng.random() < 0.17:
        question = question.rstrip("?") + rng.choice(after)
    return question


def type_as_people_do(question: str, rng: Random) -> str:
    """Return ``question`` with somebody's case, punctuation and slips."""
    if rng.random() < 0.10:
        question = _drop_little_word(question, rng)
    if rng.random() < 0.20:
        for _ in range(rng.choice((1, 1, 1, 2))):
            question = _slip(question, rng)
    question = _punctuate(_change_case(question, rng), rng)
    if rng.random() < 0.06:
        question += rng.choice(("\n", " ", "  ", "\n\n"))
    return question


def _drop_little_word(question: str, rng: Random) -> str:
    words = question.split(" ")
    little = [place for place, word in enumerate(words) if word in _DROPPABLE]
    if little and len(words) > 3:
        del words[rng.choice(little)]
    return " ".join(words)


def _slip(question: str, rng: Random) -> str:
    """Spoil one letter of one longer word; flags, code and short words stay, since they carry the meaning."""
    words = question.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return question
    place = rng.choice(long)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.35:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind < 0.65:
        word = word[:at] + word[at + 1 :]
    elif kind < 0.8:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + rng.choice(_NEIGHBOURS.get(word[at].lower(), "e")) + word[at + 1 :]
    words[place] = word
    return " ".join(words)


def _change_case(question: str, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.45:
        question = question[:1].upper() + question[1:]
        return question.replace(" i ", " I ").replace(" i'", " I'")
    if draw < 0.50:
        return question.upper()
    if draw < 0.53:
        return question.title()
    if draw < 0.65:
        return question.lower()
    return question


def _punctuate(question: str, rng: Random) -> str:
    draw = rng.random()
    bare = question.rstrip("?. ")
    if not bare or draw < 0.35:
        return question
    if draw < 0.72:
        return bare + "?"
    if draw < 0.80:
        return bare + "."
    if draw < 0.84:
        return bare + rng.choice(("!", "??", " ?", "...", "?!", "!!", ":)", " :)"))
    return bare

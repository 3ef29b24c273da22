"""Draws the dialogues the built-in guide is trained on. Knows no tensor.

The same seed gives the same dialogues. Every answer is one of facts.toml, word for word. The evaluation's questions are
known here only as what is never drawn.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.builtin_model import grammar, noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

FOLDER = Path(__file__).parent
TOPIC_FILES = ("manners", "commands", "flags", "ideas", "machine", "terminal", "tuning")
MANNERS = frozenset({"greeting", "thanks", "goodbye", "how_are_you"})
"""Topics that nobody asks about with a context around the question."""
OTHER_SHARE = 0.32
"""Part of the questions that are about anything else."""
TIMES_NEW = 3
"""How often a new topic is drawn for each time that another is."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, its topic and the guide's answer."""

    topic: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns in a row, under a system prompt or (empty) none."""

    turns: tuple[Turn, ...]
    system: str = ""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of one data file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def normalised(question: str) -> str:
    """Return a question's words alone, so that case and punctuation do not hide that two are the same."""
    return " ".join("".join(letter if letter.isalnum() else " " for letter in question.lower()).split())


class Asker:
    """Draws questions and dialogues."""

    def __init__(
        self,
        rng: Random,
        vocabulary: Sequence[str],
        extra: dict[str, list[str]] | None = None,
        forbidden: frozenset[str] = frozenset(),
        new: frozenset[str] = frozenset(),
    ) -> None:
        """Read the data files.

        Args:
            rng: where all chance comes from.
            vocabulary: the words of questions that mean nothing to the guide.
            extra: topic -> further whole phrasings.
            forbidden: questions, normalised, that are never drawn.
            new: topics that are drawn more often than the others.
        """
        self._rng = rng
        self._vocabulary = vocabulary
        self._extra = extra or {}
        self._forbidden = forbidden
        folder = FOLDER / "phrasings"
        self._words = read_toml(folder / "words.toml")
        self._frames = read_toml(folder / "frames.toml")
        self._other = read_toml(folder / "other.toml")
        self._systems = read_toml(folder / "system.toml")["prompts"]
        self._answers = {topic: fact["answer"] for topic, fact in read_toml(FOLDER / "facts.toml").items()}
        self._phrasings: dict[str, dict[str, list[str]]] = {}
        for name in TOPIC_FILES:
            self._phrasings |= read_toml(folder / f"{name}.toml")
        self._lots = [topic for topic in self.topics for _ in range(TIMES_NEW if topic in new else 1)]
        # A pattern of a hundred sentences is drawn more often than one of a single, but not a hundred times as often.
        self._weights = {
            id(patterns): [grammar.count(pattern, self._words) ** 0.5 for pattern in patterns]
            for table in [*self._phrasings.values(), self._other]
            for patterns in table.values()
        }

    @property
    def topics(self) -> list[str]:
        """Return the keys of all topics but the fallback."""
        return list(self._phrasings)

    def dialogue(self, most_turns: int = 1) -> Dialogue:
        """Draw a dialogue of one to ``most_turns`` turns."""
        turns = tuple(self.turn() for _ in range(self._rng.randint(1, most_turns)))
        system = self._draw(self._systems) if self._rng.random() < 0.1 else ""
        return Dialogue(turns, system)

    def dialogues(self, number: int, most_turns: int = 1) -> Iterator[Dialogue]:
        """Draw ``number`` dialogues."""
        for _ in range(number):
            yield self.dialogue(most_turns)

    def turn(self) -> Turn:
        """Draw one question, of any topic or of none."""
        topic = "fallback" if self._rng.random() < OTHER_SHARE else self._rng.choice(self._lots)
        return Turn(topic, self.question(topic), self._answers[topic])

    def question(self, topic: str) -> str:
        """Draw a question on ``topic`` as somebody would type it."""
        while normalised(question := self._question(topic)) in self._forbidden:
            pass
        return question

    def _question(self, topic: str) -> str:
        extra = self._extra.get(topic, [])
        if self._rng.random() < min(0.4, 0.02 * len(extra)):
            question = self._rng.choice(extra)
        else:
            question = self._about_other() if topic == "fallback" else self._about(self._phrasings[topic])
        if topic not in MANNERS:
            question = noise.dress(question, self._frames["before"], self._frames["after"], self._rng)
        return noise.type_as_people_do(question, self._rng)

    def _about(self, table: dict[str, list[str]]) -> str:
        kinds = [kind for kind in ("names", "do", "say") if kind in table]
        kind = self._rng.choices(kinds, [{"names": 0.27, "do": 0.31, "say": 0.42}[kind] for kind in kinds])[0]
        text = self._draw(table[kind])
        if kind == "say":
            return text
        return self._framed_noun(text) if kind == "names" else self._framed_verb(text)

    def _about_other(self) -> str:
        draw = self._rng.random()
        if draw < 0.16:
            return self._framed_noun(self._draw(self._other["nouns"]))
        if draw < 0.33:
            return self._framed_verb(self._draw(self._other["verbs"]))
        if draw < 0.60:
            return self._draw(self._other["say"])
        if draw < 0.86:
            return self._draw_even(self._other["near"])
        return self._nonsense()

    def _nonsense(self) -> str:
        """Return words drawn from the whole vocabulary, alone, in a frame, or between everyday words."""
        words = [self._rng.choice(self._vocabulary) for _ in range(self._rng.choice((1, 1, 2, 2, 3, 4, 6, 9, 14)))]
        draw = self._rng.random()
        if draw < 0.3:
            return self._framed_noun(" ".join(words[:3]))
        if draw < 0.6:
            return self._framed_verb(" ".join(words[:4]))
        if draw < 0.85:
            words += self._rng.choices(self._other["words"], k=self._rng.randint(1, 5))
            self._rng.shuffle(words)
        return " ".join(words)

    def _framed_noun(self, noun: str) -> str:
        frame = self._draw_even(self._frames["flag" if noun.startswith("-") else "noun"])
        return frame.replace("{N}", noun).replace("{F}", noun)

    def _framed_verb(self, verb: str) -> str:
        return self._draw_even(self._frames["verb"]).replace("{D}", verb)

    def _draw(self, patterns: list[str]) -> str:
        weights = self._weights.get(id(patterns))
        return grammar.expand(self._rng.choices(patterns, weights)[0], self._words, self._rng)

    def _draw_even(self, patterns: list[str]) -> str:
        """Draw with one weight for all; {N}, {D} and {F} are places to fill, not choices."""
        pattern = self._rng.choice(patterns)
        for place in "NDF":
            pattern = pattern.replace(f"{{{place}}}", f"<<{place}>>")
        pattern = grammar.expand(pattern, self._words, self._rng)
        for place in "NDF":
            pattern = pattern.replace(f"<<{place}>>", f"{{{place}}}")
        return pattern

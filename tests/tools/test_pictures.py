"""The pictures of the documentation show what the program does; ``python tools/picture.py`` draws them anew."""

from __future__ import annotations

import re
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from picture import LARGEST, SCENES, Scene, picture  # noqa: E402 (a tool, found by the line above)

EVERY = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)


def _words(svg: str) -> str:
    return "".join(unescape(re.sub(r"<[^>]+>", "", svg)).split())


@EVERY
def test_a_picture_shows_what_its_scene_types_and_what_comes_of_it(scene: Scene) -> None:
    shown = _words((ROOT / "docs" / f"{scene.name}.svg").read_text(encoding="utf-8"))
    for text in (*(keys for keys, _ in scene.typed if keys.isprintable()), *scene.shows, scene.title):
        assert "".join(text.split()) in shown


@EVERY
def test_a_picture_is_small_and_the_readme_has_it(scene: Scene) -> None:
    path = ROOT / "docs" / f"{scene.name}.svg"
    assert path.stat().st_size < LARGEST
    assert f"](docs/{scene.name}.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.pty
def test_a_scripted_answer_is_drawn_as_the_picture_has_it() -> None:
    scene = next(scene for scene in SCENES if scene.name == "markdown")
    assert picture(scene) == (ROOT / "docs" / "markdown.svg").read_text(encoding="utf-8")

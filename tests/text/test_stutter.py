"""Which repeated texts are stutters and which are meant, wherever in them the repetition begins."""

from __future__ import annotations

import pytest

from mistral_cli.text.stutter import is_stutter

MEANT = (
    "-",
    "=====",
    "—",
    "ー",
    "█ ",
    "😀",
    "    ",
    "\n",
    "0",
    "0, ",
    "[0, 0, 0],\n",
    "0.5, ",
    "1.0f, ",
    "255, ",
    "0xff, ",
    "\\x00",
    "FF ",
    "true, ",
    "null,\n    null,\n    ",
    '"wall", ',
    '{"x": 0, "y": null}, ',
    "'a', 'b', ",
    "| X | Yes |\n",
    "|---",
    "cell | ",
    "e|--0--|\nB|--1--|\n",
    "<td></td>",
    '<div class="cell"></div>\n',
    "&nbsp;",
    "XXXXXXXX\n",
    "XOXOXOXO\nOXOXOXOX\n",
    "X X X\n",
    "/\\_/\\\n( o.o )\n > ^ <\n",
    "- [ ] \n",
)
STUTTERED = (
    " the",
    " I",
    "cat",
    "No.\n",
    "and so on, ",
    "All work and no play makes Jack a dull boy.\n",
    '"Yes," he said. ',
    "<p>Some words.</p>\n",
    "1. Paris is the capital.\n",
    'print("x")\n',
    "谢谢",
    "да ",
    "<|im_end|>\n<|im_start|>assistant\n",
    "",
)


def turns(text: str) -> list[str]:
    return [text[at:] + text[:at] for at in range(max(len(text), 1))]


@pytest.mark.parametrize("text", MEANT)
def test_what_is_drawn_padded_or_listed_is_meant(text: str) -> None:
    assert [turned for turned in turns(text) if is_stutter(turned)] == []


@pytest.mark.parametrize("text", STUTTERED)
def test_words_that_are_repeated_are_a_stutter(text: str) -> None:
    assert [turned for turned in turns(text) if not is_stutter(turned)] == []


@pytest.mark.timeout(1200)  # tried again from every place, each of these would take for ever
def test_no_text_takes_for_ever_to_judge() -> None:
    for text in ("1" * 400 + "é", '"' * 400, "\\" * 400 + '"', "," * 400 + "x", "<" * 400, "a1" * 200 + "!,"):
        is_stutter(text)

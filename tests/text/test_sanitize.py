"""Nothing that a model says can move the cursor, hide or reorder text on a terminal."""

from __future__ import annotations

import unicodedata

import pytest

from mistral_cli.text.sanitize import Sanitizer, sanitize


def test_every_c0_character_but_newline_and_tab_is_shown_as_its_picture() -> None:
    for code in range(0x20):
        expected = chr(code) if chr(code) in "\n\t" else chr(0x2400 + code)
        assert sanitize(chr(code)) == expected


def test_escape_sequences_lose_their_escape() -> None:
    assert sanitize("\x1b[31mred\x1b]52;c;YQ==\x07") == "␛[31mred␛]52;c;YQ==␇"
    assert sanitize("\x1b]8;;http://evil\x1b\\click") == "␛]8;;http://evil␛\\click"


def test_del_and_c1_are_shown() -> None:
    assert sanitize("a\x7fb") == "a␡b"
    assert sanitize("\x9b31m\x85") == "<U+009B>31m<U+0085>"
    assert all(sanitize(chr(code)) == f"<U+{code:04X}>" for code in range(0x80, 0xA0))


@pytest.mark.parametrize("char", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_bidi_controls_are_shown(char: str) -> None:
    assert sanitize(f"x{char}y") == f"x<U+{ord(char):04X}>y"


@pytest.mark.parametrize("char", "\u200b\u200c\u200d\u2060\ufeff\u180e\u00ad\u2028\u2029\u3164")
def test_zero_width_characters_and_separators_are_shown(char: str) -> None:
    assert sanitize(f"x{char}y") == f"x<U+{ord(char):04X}>y"


def test_tag_characters_are_shown() -> None:
    assert sanitize("\U000e0001\U000e0041\U000e007f") == "<U+E0001><U+E0041><U+E007F>"


def test_smuggled_variation_selectors_are_shown() -> None:
    assert sanitize("x\U000e0100\U000e01ef") == "x<U+E0100><U+E01EF>"


def test_a_lone_surrogate_is_shown_since_no_stream_could_write_it() -> None:
    assert sanitize("\ud800").encode() == b"<U+D800>"


@pytest.mark.parametrize(
    "text", ["[/INST] [bold]x[/bold]", "👩‍👩‍👧‍👦", "👍🏽", "❤️‍🔥", "می‌خواهم", "क्‍ष", "日本語", "é e\u0301", "a\n\tb"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize("char", "\x1b\x9b\u202e\u200b\u2028\U000e0041")
def test_an_emoji_excuses_nothing_but_a_joiner(char: str) -> None:
    assert char not in sanitize(f"👩{char}x")


def test_chunks_are_made_safe_as_the_whole_is() -> None:
    text = "a\u200db 👩\u200d👩\u200d\u200d\x1b[0m\u202e می\u200cخ\r\n"
    for size in (1, 2, 3):
        sanitizer = Sanitizer()
        chunks = [sanitizer.push(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join(chunks) == sanitize(text)


def test_an_empty_chunk_between_an_emoji_and_its_joiner_changes_nothing() -> None:
    sanitizer = Sanitizer()
    assert sanitizer.push("👩") + sanitizer.push("") + sanitizer.push("\u200d") == "👩\u200d"


def test_no_control_or_format_character_but_the_listed_ones_gets_through() -> None:
    """Every character that Unicode calls control, or a line or paragraph separator, has a visible form."""
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") and char not in "\n\t":
            assert sanitize(char) != char

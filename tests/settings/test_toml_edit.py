"""One key of a TOML text changes; every other byte stays."""

from __future__ import annotations

import tomllib

import pytest

from mistral_cli.settings.toml_edit import literal, with_value, without


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "plain",
            'a "quoted" \\ path',
            "tab\tand\nline",
            "\x00\x1f\x7f\x85\u2028",
            "日本 🙂",
            "[/INST] # no comment",
        ),
        *(True, False, 0, -5, 0.7, 1e-05, 1e300, [], ["a", "b # c"], {}, {"5": -1.5, "a b": "c"}),
    ],
)
def test_a_value_is_written_as_toml_reads_it(value: object) -> None:
    assert tomllib.loads(f"x = {literal(value)}") == {"x": value}
    assert "\n" not in literal(value)


def test_text_that_is_not_unicode_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        literal("a\udcff")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "top_p = 1\n"),
        ("a = 1", "a = 1\ntop_p = 1\n"),
        ("a = 1\n\n# the end\n", "a = 1\ntop_p = 1\n\n# the end\n"),
        ("# only words\n", "# only words\ntop_p = 1\n"),
        ("a = 1\n\n# a table\n[b]\nc = 2\n", "a = 1\ntop_p = 1\n\n# a table\n[b]\nc = 2\n"),
        ("[b]\ntop_p = 9\n", "top_p = 1\n[b]\ntop_p = 9\n"),
        ('a = """\ntop_p = 5\n"""\n', 'a = """\ntop_p = 5\n"""\ntop_p = 1\n'),
        ("a = 1\r\nb = 2\r\n", "a = 1\r\nb = 2\r\ntop_p = 1\r\n"),
        ("a = [\n  1, # one\n  2,\n]\nb = 3\n", "a = [\n  1, # one\n  2,\n]\nb = 3\ntop_p = 1\n"),
    ],
)
def test_a_new_key_stands_behind_the_others_and_before_the_tables(before: str, after: str) -> None:
    assert with_value(before, "top_p", "1") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("top_p = 0.5\n", "top_p = 1\n"),
        ("top_p=0.5", "top_p=1"),
        ("  top_p   =  0.5   # mine\nb = 2\n", "  top_p   =  1   # mine\nb = 2\n"),
        ('top_p = "a # b" # c # d\n', "top_p = 1 # c # d\n"),
        ('"top_p" = 0.5\r\nb = 2\r\n', '"top_p" = 1\r\nb = 2\r\n'),
        ("b = 1\ntop_p = [\n 1,\n 2, # x\n]\n# about c\nc = 3\n", "b = 1\ntop_p = 1\n# about c\nc = 3\n"),
        ("top_p = '''\na = 1\n'''\n", "top_p = 1\n"),
        ("top_p.a = 1\nb = 2\ntop_p.c = 3\n", "top_p = 1\nb = 2\n"),
        (
            "b = 2\n\n# about it\n[top_p]\na = 1\n\n# about c\n[c]\nd = 1\n",
            "b = 2\ntop_p = 1\n\n# about it\n\n# about c\n[c]\nd = 1\n",
        ),
    ],
)
def test_a_key_that_is_there_is_replaced_where_it_stands(before: str, after: str) -> None:
    assert with_value(before, "top_p", "1") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("a = 1\n", "a = 1\n"),
        ("a = 1\n# mine\ntop_p = 0.5 # gone\nb = 2\n", "a = 1\n# mine\nb = 2\n"),
        ("a = 1\n[top_p]\nx = 1\ny = 2\n# the end\n", "a = 1\n# the end\n"),
        ("[top_p.x]\na = 1\n[c]\nd = 1\n", "[c]\nd = 1\n"),
        ("top_p = [\n1,\n]\n", ""),
    ],
)
def test_a_key_is_removed_and_comments_stay(before: str, after: str) -> None:
    assert without(before, "top_p") == after


@pytest.mark.parametrize("text", ["a = \n", "a = 1\nb = [\n", "a = 1\na = 2\n"])
def test_what_is_no_toml_is_not_touched(text: str) -> None:
    with pytest.raises(ValueError, match=r"TOML|overwrite"):
        with_value(text, "top_p", "1")


def test_a_value_that_is_more_than_one_is_refused() -> None:
    with pytest.raises(ValueError, match="line by line"):
        with_value("a = 1\n", "top_p", "1\nb = 2")

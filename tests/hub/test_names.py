"""Which names a model may have, and what is suggested under a wrong one."""

from __future__ import annotations

import pytest

from mistral_cli.errors import UsageError
from mistral_cli.weights.hub_names import (
    ALIASES,
    BUILTIN,
    DEFAULT_MODEL,
    KNOWN_MODELS,
    alias_of,
    check_id,
    check_revision,
    find_closest,
    model_of,
)


@pytest.mark.parametrize("name", [name for name in KNOWN_MODELS if "/" in name] + ["gpt2", "a/b", "A_b-c.d/e_F"])
def test_an_id_of_the_hub_is_accepted(name: str) -> None:
    check_id(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "../../x", "..", "a/..", "a/b..c", "-rf", "--help", "a" * 300, "a/" + "b" * 199, "CON", "nul/model"),
        *("a/com1.txt", "a//b", "/a", "a/", "a b", "a/b\n", "a\0b", "a\\b", "C:\\x", "a--b/c", "a/b-", "ü/x", "\ud800"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_id(name)
    assert caught.value.exit_code == 2
    assert DEFAULT_MODEL in caught.value.hint


def test_a_refused_name_is_shown_short_and_printable() -> None:
    with pytest.raises(UsageError) as caught:
        check_id("\x1b[2J" + "a" * 300)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("revision", [None, "main", "v0.1", "refs/pr/3", "0" * 40])
def test_a_branch_a_tag_or_a_commit_is_a_revision(revision: str | None) -> None:
    check_revision(revision)


@pytest.mark.parametrize("revision", ["", "../../x", "-f", "a b", "x" * 201, "/etc", "a\n"])
def test_a_revision_that_could_lead_elsewhere_is_refused(revision: str) -> None:
    with pytest.raises(UsageError):
        check_revision(revision)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.33", DEFAULT_MODEL),
        ("mistral-7b-instruct-v0.3", DEFAULT_MODEL),
        ("mistralai/mixtral-8x7b", "mistralai/Mixtral-8x7B-v0.1"),
        ("bultin", "builtin"),
        ("someone/Mistral-Nemo-Instruct-2407", "mistralai/Mistral-Nemo-Instruct-2407"),
        ("zzzz", None),
    ],
)
def test_the_closest_known_name_is_found_whatever_the_case_and_owner(typed: str, meant: str | None) -> None:
    assert find_closest(typed, KNOWN_MODELS) == meant


def test_no_two_models_share_a_short_name_and_none_looks_like_an_id() -> None:
    names = [alias.name for alias in ALIASES]
    assert len({*names, BUILTIN}) == len(names) + 1
    assert not any("/" in name or name != name.lower() for name in names)


@pytest.mark.parametrize("typed", ["nemo", "Nemo", "NEMO"])
def test_a_short_name_stands_for_its_model_in_whatever_case(typed: str) -> None:
    assert model_of(typed) == "mistralai/Mistral-Nemo-Instruct-2407"


def test_a_model_is_shown_with_the_first_of_its_short_names() -> None:
    assert (model_of("7b-v0.3"), alias_of(DEFAULT_MODEL)) == (DEFAULT_MODEL, "7b")
    assert (model_of("owner/model"), alias_of("owner/model")) == (None, None)

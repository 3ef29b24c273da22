"""Fetching from a hub that says no, or where nobody is: all through the real library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.hub_client import a_repo, mistral
from hub.stand_in_hub import StandInHub
from mistral_cli.weights.hub_plan import deadline

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub(repos={"owner/model": a_repo()}) as stand_in:
        yield stand_in


# -- who says no -----------------------------------------------------------------------------------------------------


def test_a_gated_model_names_the_page_to_visit_and_how_to_log_in(hub: StandInHub) -> None:
    hub.repos["owner/model"].gated = True
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert f"{hub.url}/owner/model" in run.stderr
    assert "hf auth login" in run.stderr


def test_a_gated_model_tells_who_is_logged_in_already_only_to_accept_the_conditions(hub: StandInHub) -> None:
    hub.repos["owner/model"].gated = True
    run = mistral(hub, "pull", "owner/model", "--yes", HF_TOKEN="hf_good")
    assert run.returncode == 7
    assert "with the account you are logged in as" in run.stderr
    assert "hf_good" not in run.stderr


def test_a_gated_model_is_fetched_with_a_token_that_is_admitted(hub: StandInHub) -> None:
    hub.repos["owner/model"].gated = True
    hub.repos["owner/model"].admits = ("hf_good",)
    assert mistral(hub, "pull", "owner/model", "--yes", HF_TOKEN="hf_good").returncode == 0


def test_the_token_goes_to_the_hub_and_never_to_where_it_sends_us(hub: StandInHub) -> None:
    mistral(hub, "pull", "owner/model", "--yes", HF_TOKEN="hf_good")
    assert {item.authorization for item in hub.requests if item.at_cdn} == {None}
    assert "Bearer hf_good" in {item.authorization for item in hub.requests if not item.at_cdn}


def test_a_token_nobody_has_is_refused_without_being_repeated(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes", HF_TOKEN="hf_bad")
    assert run.returncode == 7
    assert "does not accept your token" in run.stderr
    assert "hf_bad" not in run.stderr


def test_a_signed_address_is_in_no_error_even_with_a_traceback(hub: StandInHub) -> None:
    hub.cdn_status = 403
    run = mistral(hub, "pull", "owner/model", "--yes", "--debug", HF_TOKEN="hf_good")
    assert run.returncode == 7
    assert "Traceback" in run.stderr
    assert "Signature" not in run.stderr
    assert "hf_good" not in run.stderr


def test_what_the_hub_wants_to_have_said_is_not_printed(hub: StandInHub) -> None:
    hub.warning = "topic; \x1b]52;c;cm0gLXJm\x07"
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 0
    assert "\x1b" not in run.stderr


def test_an_unknown_model_gets_the_closest_name(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "mistralai/Mistral-7B-Instruct-v0.33", "--yes")
    assert run.returncode == 3
    assert "Did you mean mistralai/Mistral-7B-Instruct-v0.3?" in run.stderr


def test_an_unknown_revision_says_where_to_look(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--revision", "v9", "--yes")
    assert run.returncode == 3
    assert "no revision v9" in run.stderr
    assert f"{hub.url}/owner/model/tree/main" in run.stderr


@pytest.mark.parametrize(("status", "words"), [(429, "too many requests"), (503, "error 503"), (403, "(403)")])
def test_any_other_no_of_the_hub_is_said_in_words(hub: StandInHub, status: int, words: str) -> None:
    hub.status = status
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert words in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_address_that_is_no_hub_is_said_in_words(hub: StandInHub) -> None:
    hub.status = 200
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert f"{hub.url} does not answer as the hub does" in run.stderr


# -- nobody there ----------------------------------------------------------------------------------------------------


def test_a_hub_that_refuses_connections_is_unreachable_at_once(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert run.returncode == 7
    assert "127.0.0.1 refuses the connection" in run.stderr


def test_a_hub_that_never_answers_is_asked_once_and_given_up_in_less_than_five_seconds(hub: StandInHub) -> None:
    hub.is_silent = True
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert len(hub.requests) == 1
    assert deadline() < 5  # seconds that an answer may take
    assert run.returncode == 7
    assert "does not answer in time" in run.stderr


def test_a_model_that_is_here_need_not_be_asked_for_where_nobody_answers(hub: StandInHub) -> None:
    folder = mistral(hub, "pull", "owner/model", "--yes").stdout
    run = mistral(hub, "pull", "owner/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert (run.returncode, run.stdout) == (0, folder)
    assert "maybe not the newest" in run.stderr


def test_offline_mode_fetches_nothing_and_says_so(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes", HF_HUB_OFFLINE="1")
    assert run.returncode == 7
    assert "HF_HUB_OFFLINE is set" in run.stderr
    assert not hub.requests

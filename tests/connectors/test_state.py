"""What the environment says of the state and of the persona, and what is said at the call instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.settings import PERSONA_BASE_URL, PersonaSettings
from connectors.state import StateSettings


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in ("INGEST_STATE", "INGEST_LEDGER", "INGEST_CLEANERS", "CLIENT_SECRET", "BASE_URL", "VOICE_BASE_URL"):
        monkeypatch.delenv(f"PERSONA_{name}", raising=False)


def test_variables_say_where_the_state_is(monkeypatch):
    monkeypatch.setenv("PERSONA_INGEST_STATE", "~/there")
    monkeypatch.setenv("PERSONA_INGEST_CLEANERS", "dask://h:1")
    told = StateSettings()
    assert (told.folder(), told.cleaners) == (Path.home() / "there", "dask://h:1")
    assert told.ledger_url() == f"sqlite:///{Path.home() / 'there' / 'ledger.sqlite3'}"
    monkeypatch.setenv("PERSONA_INGEST_LEDGER", "postgresql://u@h/d")
    assert StateSettings().ledger_url() == "postgresql://u@h/d"


def test_what_is_said_at_the_call_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_INGEST_STATE", "/elsewhere")
    monkeypatch.setenv("PERSONA_INGEST_LEDGER", "postgresql://u@h/d")
    assert StateSettings(state=tmp_path, ledger=None).ledger_url() == f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def test_an_empty_variable_says_nothing(monkeypatch):
    monkeypatch.setenv("PERSONA_INGEST_STATE", "")
    monkeypatch.setenv("PERSONA_CLIENT_SECRET", "")
    monkeypatch.setenv("PERSONA_BASE_URL", "")
    assert StateSettings() == StateSettings(state=None, ledger=None, cleaners="")
    assert (PersonaSettings().client_secret, PersonaSettings().base_url) == (None, PERSONA_BASE_URL)


def test_a_secret_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("PERSONA_CLIENT_SECRET", "s3cret")
    assert PersonaSettings().client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(PersonaSettings())
    assert PersonaSettings(client_secret=None).client_secret is None


def test_an_address_that_is_none_is_refused_wherever_it_stands(monkeypatch):
    with pytest.raises(ValidationError, match="no web address"):
        PersonaSettings(base_url="nonsense")
    monkeypatch.setenv("PERSONA_VOICE_BASE_URL", "nonsense")
    with pytest.raises(ValidationError, match="no web address"):
        PersonaSettings()

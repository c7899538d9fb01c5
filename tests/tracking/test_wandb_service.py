"""A stranger's folder does not choose who gets the key of Weights & Biases, and nobody gets it unencrypted."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from configurations import configured

from membrane.errors import ConfigError
from membrane.schema.training import Wandb
from membrane.tracking.loggers import build_tracker
from membrane.tracking.wandb_service import PUBLIC_HOSTS, announce_server

FOREIGN = """[default]
base_url = http://collector.example:8080
api_key = 0000000000000000000000000000000000000000
entity = somebody
http_proxy = http://proxy.example
x_extra_http_headers = {"X": "1"}
"""
UNREAD = "in this folder is not read"


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Each start of wandb in an empty folder: its mode, and the settings as wandb has read them; none is real."""

    def start(mode: str, **arguments: Any) -> SimpleNamespace:
        settings = wandb.setup().settings
        names = ("base_url", "api_key", "entity", "http_proxy", "x_extra_http_headers")
        calls.append((mode, {name: getattr(settings, name) for name in names if getattr(settings, name)}))
        return SimpleNamespace(experiment=None)

    calls: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr("membrane.tracking.loggers.WandbLogger", start)
    wandb.teardown()  # settings are read once in a process
    yield calls
    wandb.teardown()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What membrane says; wandb logs too."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("membrane.")]


def begin() -> None:
    config = configured("logger=wandb")
    assert isinstance(config.logger, Wandb)
    build_tracker(config, {}, Path("run"), "0123456789ab", 0).begin()


@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
def test_settings_of_the_working_folder_are_not_followed_but_told_of(
    folder: str, starts: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    Path(folder).mkdir()
    Path(folder, "settings").write_text(FOREIGN)
    with caplog.at_level(logging.INFO):
        begin()
    [(mode, settings)] = starts
    assert mode == "online"
    assert settings.pop("api_key", "f" * 40) == "f" * 40
    assert settings == {"base_url": wandb.Settings().base_url}
    [line] = lines(caplog)
    assert f"wandb: {folder}/settings {UNREAD}" in line


def test_ones_own_settings_and_the_environments_are_followed_and_the_server_is_named(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("own").mkdir()
    Path("own", "settings").write_text("[default]\nbase_url = https://own.example\nentity = me\n")
    with caplog.at_level(logging.INFO):
        begin()
        assert starts[0][1]["base_url"] == "https://own.example"
        assert starts[0][1]["entity"] == "me"
        wandb.teardown()
        monkeypatch.setenv("WANDB_BASE_URL", "https://user:password@other.example:444/path")
        begin()
    assert [settings["base_url"] for _, settings in starts[1:]] == ["https://user:password@other.example:444/path"]
    assert lines(caplog) == [
        "wandb: your API key goes to https://own.example",
        "wandb: your API key goes to https://other.example:444",
    ]


def test_a_key_is_not_sent_unencrypted(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://own.example")
    with caplog.at_level(logging.INFO):
        begin()
    assert [mode for mode, _ in starts] == ["offline"]
    [line] = lines(caplog)
    assert line.startswith(
        "wandb: http://own.example would get your API key unencrypted: let WANDB_BASE_URL begin with"
    )


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("https://api.wandb.ai", None),
        ("https://own.example", "https://own.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]", "http://::1"),
    ],
)
def test_servers_that_may_get_the_key(url: str, line: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        announce_server(url)
    assert lines(caplog) == ([] if line is None else [f"wandb: your API key goes to {line}"])


@pytest.mark.parametrize(
    "host", ["own.example", "localhost.own.example", "127.0.0.1.own.example", "10.0.0.1", "0.0.0.0"]
)
def test_servers_that_may_not(host: str) -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        announce_server(f"http://{host}:8080")


def test_the_default_server_is_a_public_one() -> None:
    assert wandb.Settings().base_url in [f"https://{host}" for host in PUBLIC_HOSTS]

"""Libraries that membrane does not run on are refused at start, in one line."""

from collections.abc import Callable
from importlib import metadata

import pytest
from commands import train

from membrane.cli import versions as requirements
from membrane.errors import ConfigError

Pretend = Callable[[str, str], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Let a library be installed in another version."""
    original = metadata.version

    def other(library: str, version: str) -> None:
        monkeypatch.setattr(metadata, "version", lambda name: version if name == library else original(name))

    return other


@pytest.mark.parametrize(
    ("library", "version", "said"),
    [
        ("lightning", "2.6.2", "lightning 2.6.2 is a malicious release"),
        ("lightning", "2.6.3", "lightning 2.6.3 is a malicious release"),
        ("torch", "2.10.1+cu128", "torch 2.10.1.cu128 is older than supported: 2.11 or newer"),
        ("hydra-core", "1.2.0", "hydra-core 1.2.0 is older than supported: 1.3 or newer"),
    ],
)
def test_what_is_too_old_or_malicious_is_refused(pretend: Pretend, library: str, version: str, said: str) -> None:
    pretend(library, version)
    with pytest.raises(ConfigError, match=said):
        requirements.check_versions()


@pytest.mark.parametrize(("library", "version"), [("lightning", "2.6.6"), ("torch", "3.0"), ("hydra-core", "1.10.1")])
def test_what_is_new_enough_is_not(pretend: Pretend, library: str, version: str) -> None:
    pretend(library, version)
    requirements.check_versions()


def test_the_command_line_says_so_in_one_line(pretend: Pretend, capsys: pytest.CaptureFixture[str]) -> None:
    pretend("lightning", "2.6.3")
    assert train(["--help"]) == 2
    assert capsys.readouterr().err.count("\n") == 1

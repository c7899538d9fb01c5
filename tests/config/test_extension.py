"""`extend=RUN`: what comes from the run that is continued, what can be set anew, and which runs cannot be continued."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import check_each

from membrane.config.extension import extended, may_change
from membrane.errors import ConfigError

FORMER = """
name: short
epochs: 3
seed: 7
paths: {runs: theirs}
rerun: true
max_time: 1h
model: {units: [16]}
trainer: {workers: 2, monitor: val/acc}
logger: null
"""
TYPED: dict[str, Any] = {
    "name": "long",
    "epochs": 5,
    "seed": 0,
    "paths": {"runs": "mine"},
    "rerun": False,
    "max_time": None,
    "model": {"units": [8]},
    "trainer": {"workers": 4, "monitor": "val/loss"},
    "logger": {"_target_": "a.Logger", "tags": ["x"]},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a finished run's folder, as far as it is read."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"weights")
    (tmp_path / "result.json").write_text('{"epochs": 3, "metrics": {}}')
    (tmp_path / "config.yaml").write_text(FORMER)
    return tmp_path


def extend(run: Path, *overrides: str, **settings: Any) -> dict[str, Any]:
    return extended({**TYPED, "extend": {"path": str(run)}, **settings}, [f"extend={run}", *overrides])


def test_nothing_is_extended_unless_a_run_is_named() -> None:
    for extend in ({}, {"extend": None}, {"extend": "runs/x"}, {"extend": {}}, {"extend": {"path": 5}}):
        raw = {**TYPED, **extend}
        assert extended(raw, ["epochs=1"]) is raw


def test_all_but_what_is_typed_comes_from_the_run(run: Path) -> None:
    assert extend(run, "epochs=5") == {
        "name": "short",
        "epochs": 5,
        "seed": 7,
        "model": {"units": [16]},
        "trainer": {"workers": 2, "monitor": "val/acc"},
        "logger": None,
        "paths": {"runs": "mine"},
        "rerun": False,
        "max_time": None,
        "trust": [],
        "extend": {"path": str(run), "sha256": hashlib.sha256(b"weights").hexdigest()},
    }


def test_a_digest_that_was_given_stays(run: Path) -> None:
    raw = {**TYPED, "extend": {"path": str(run), "sha256": "0" * 64}}
    assert extended(raw, ["epochs=5"])["extend"]["sha256"] == "0" * 64


def test_trust_and_settings_of_a_command_are_those_of_this_one(run: Path) -> None:
    whole = extend(run, "epochs=5", trust=["my.Model"], keep_going=True)
    assert whole["trust"] == ["my.Model"]
    assert whole["keep_going"] is True
    settings = {key: value for key, value in TYPED.items() if key != "rerun"}
    assert extended({**settings, "extend": {"path": str(run)}}, ["epochs=5"])["rerun"] is True


def test_what_shapes_nothing_can_be_set_anew(run: Path) -> None:
    whole = extend(run, "+epochs=5", "++name=long", "logger=wandb", "trainer.workers=4", "paths.runs=mine", "sweep=a")
    assert (whole["name"], whole["logger"]) == ("long", TYPED["logger"])
    assert whole["logger"] is not TYPED["logger"]
    assert whole["trainer"] == {"workers": 4, "monitor": "val/acc"}


def test_what_shapes_the_result_cannot(run: Path) -> None:
    def check_refusal(override: str) -> None:
        setting = override.lstrip("+").partition("=")[0].replace("/", ".")
        line = f"{setting}: extend={run} takes it from that run; epochs can be said anew"
        with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
            extend(run, "epochs=5", override)

    check_each(["seed=0", "model=smlp", "+model.units=[8]", "trainer.monitor=x", "trainer=gpu", "a/b=x"], check_refusal)


def test_there_must_be_epochs_left(run: Path) -> None:
    for epochs in (2, 3):
        with pytest.raises(ConfigError, match=rf"^epochs={epochs}: extend=.* begins after 3 epochs: say more than"):
            extend(run, f"epochs={epochs}", epochs=epochs)
    assert extend(run, "epochs=4", epochs=4)["epochs"] == 4
    (run / "result.json").write_text('{"epochs": 2, "metrics": {}}')  # it had stopped early
    assert extend(run)["epochs"] == 3


def test_epochs_that_are_no_number_are_one_line(run: Path) -> None:
    for epochs in ("abc", [5], None, 5.5, True, {"a": 1}):
        with pytest.raises(ConfigError, match=r"^epochs: expected a whole number, got "):
            extend(run, "epochs=x", epochs=epochs)


def test_settings_that_may_change() -> None:
    allowed = "epochs name logger logger.seed max_time trainer.workers trainer.devices trainer.profile"
    refused = (
        "seed nope timesteps trainer trainer.fused trainer.nope trainer.epochs model.epochs model.name model.max_time"
    )
    assert [setting for setting in allowed.split() if not may_change(setting.split("."))] == []
    assert [setting for setting in refused.split() if may_change(setting.split("."))] == []


# a file, what it holds (None: it is missing), what the line says
BROKEN = [
    ("result.json", None, "no finished run lies there; one that is unfinished goes on by itself"),
    ("config.yaml", None, "no finished run lies there; one that is unfinished goes on by itself"),
    ("checkpoints/last.ckpt", None, r".*/checkpoints/last\.ckpt: No such file or directory"),
    ("result.json", "{", r"its config\.yaml or result\.json cannot be used: .*"),
    ("result.json", '{"metrics": {}}', r"its config\.yaml or result\.json cannot be used: .*epochs.*"),
    ("result.json", '{"epochs": []}', r"its config\.yaml or result\.json cannot be used: .*"),
    ("config.yaml", "seed: ${oc.env:NO_SUCH}", r".* seed: \$\{oc\.env:NO_SUCH\}, and may not read the environment; .*"),
    ("config.yaml", "a: [", ".* cannot be used: .*"),
    ("config.yaml", "- 1", r"its config\.yaml is damaged"),
    ("config.yaml", "trust: []", r"its config\.yaml says trust, which only you may: trust=\[…\]"),
]


def test_a_run_that_cannot_be_extended_is_refused_in_one_line(run: Path) -> None:
    def check_broken(case: tuple[str, str | None, str]) -> None:
        name, content, message = case
        whole = (run / name).read_bytes()
        (run / name).unlink()
        if content is not None:
            (run / name).write_text(content)
        with pytest.raises(ConfigError, match=f"^extend={re.escape(str(run))}: {message}$"):
            extend(run, "epochs=5")
        (run / name).write_bytes(whole)

    check_each(BROKEN, check_broken)
    assert extend(run, "epochs=5")["name"] == "short"


def test_a_command_that_extends_nothing_is_refused(
    membrane: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert membrane("extend=nowhere", "epochs=5") == 2
    assert "extend=nowhere: no finished run lies there" in capsys.readouterr().err

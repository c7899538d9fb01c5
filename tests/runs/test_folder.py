"""The run folder: the fingerprint that names it, the lock that guards it, what may be put into it."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.files.durable import write_json
from membrane.files.lock import Occupied
from membrane.runs.fingerprint import entering, fingerprint
from membrane.runs.folder import RunFolder
from membrane.schema import Config, Settings

FIXED = {
    (): "238df87eae0d",
    ("framework=multistep_tid",): "310eeb8940e3",
    ("model=smlp", "neuron=plif", "surrogate=sigmoid", "optimizer=sgd", "scheduler=one_cycle"): "4374306a5397",
    ("dataset=mnist", "augmentation=[shift,cutout]", "callbacks=[ema,early_stop]", "timesteps=8"): "fa67e2aa5d5c",
    ("neuron=relu", "loss=mse", "readout=last", "protocol=last", "trainer.clip_norm=1"): "21b924809df0",
}
"""Command line → fingerprint, for ever: a change here orphans every run that anyone has."""
UNSHAPING = {"name", "seed", "paths", "logger", "rerun", "trust", "keep_going", "max_time", "figures"}
UNSHAPING_TRAINER = {"devices", "accelerator", "progress", "workers", "worker_timeout"}
UNSHAPING_TRAINER |= {"checkpoint_steps", "checkpoint_minutes", "profile"}
SHIFT = {"_target_": "membrane.augment.image.Shift", "pixels": 1}
FLIP = {"_target_": "membrane.augment.image.HorizontalFlip"}
HOLDER = """
import json, sys
from membrane.config.check import check
from membrane.runs.folder import RunFolder
with RunFolder(check(json.loads(sys.stdin.readline()))).held():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer()


@pytest.fixture
def raw(plain: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {**copy.deepcopy(plain), "paths": {"runs": str(tmp_path / "runs")}}


def held_by_another(raw: dict[str, Any]) -> subprocess.Popen[str]:
    """A second process that holds the run's folder until it is told to end, or killed."""
    other = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write(json.dumps(raw) + "\n")
    other.stdin.flush()
    assert other.stdout.readline() == "held\n"
    return other


def settings_in(config: Settings, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The place of every setting, those in groups of several included."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in inner:
            at = (*place, name, key) if key else (*place, name)
            yield from settings_in(each, at) if isinstance(each, Settings) else [at]


def replaced(config: Any, place: tuple[str, ...], value: Any) -> Any:
    """A copy with another value at a place, unchecked."""
    first, *rest = place
    if isinstance(config, dict):
        return {**config, first: replaced(config[first], tuple(rest), value)}
    return config.model_copy(update={first: replaced(getattr(config, first), tuple(rest), value) if rest else value})


@pytest.mark.parametrize("typed", FIXED, ids=" ".join)
def test_fixed_fingerprints(typed: tuple[str, ...], composer: Composer) -> None:
    [job], _ = composer.jobs(composer.free(typed), multirun=False)
    assert fingerprint(check(resolved(job.config))) == FIXED[typed]


def test_what_shapes_the_result_changes_the_fingerprint_and_nothing_else_does(raw: dict[str, Any]) -> None:
    raw["augmentation"] = {"shift": SHIFT}
    raw["callbacks"] = {"ema": {"_target_": "lightning.pytorch.callbacks.EMAWeightAveraging"}}
    config = check(raw)
    places = list(settings_in(config))
    assert {place[0] for place in places} == set(Config.model_fields)
    assert len(places) > 70
    for place in places:
        outside = place[0] in UNSHAPING or (place[0] == "trainer" and place[1] in UNSHAPING_TRAINER)
        same = fingerprint(replaced(config, place, "another value")) == fingerprint(config)
        assert same == outside, place


def test_the_same_settings_said_otherwise_have_the_same_fingerprint(raw: dict[str, Any]) -> None:
    config = check(raw)
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in raw.items()}
    assert fingerprint(check(dict(reversed(turned.items())))) == fingerprint(config)
    spelled = {**raw, "epochs": config.epochs, "neuron": {**raw["neuron"], "tau": 2, "v_threshold": 1}}
    assert fingerprint(check(spelled)) == fingerprint(config)


def test_the_order_of_augmentations_shapes_the_result(raw: dict[str, Any]) -> None:
    there = fingerprint(check({**raw, "augmentation": {"shift": SHIFT, "flip": FLIP}}))
    back = fingerprint(check({**raw, "augmentation": {"flip": FLIP, "shift": SHIFT}}))
    assert there != back


def test_a_setting_that_came_later_enters_only_where_it_differs_from_its_default() -> None:
    class Before(Settings):
        a: int = 1

    class After(Settings):
        a: int = 1
        b: list[int] = Field(default=[2], json_schema_extra={"later": True})
        inner: Before = Field(default=Before(), json_schema_extra={"later": True})

    assert entering(After()) == entering(Before()) == {"a": 1}
    assert entering(After(b=[2], inner=Before(a=1))) == {"a": 1}
    assert entering(After(b=[3])) == {"a": 1, "b": [3]}
    assert entering(After(inner=Before(a=5))) == {"a": 1, "inner": {"a": 5}}


def test_where_a_run_lies(raw: dict[str, Any], tmp_path: Path) -> None:
    config = check({**raw, "seed": 3, "name": "mine"})
    assert RunFolder(config).path == tmp_path / "runs" / "mine" / fingerprint(config) / "seed3"
    debug = check({**raw, "debug": {"batches": 2}})
    assert RunFolder(debug).path == tmp_path / "runs" / ".debug" / "digits" / fingerprint(debug) / "seed0"
    RunFolder(debug).write("result.json", {})
    assert RunFolder(debug).result() is None
    assert not (tmp_path / "runs" / "mine").exists()


def test_one_process_at_a_time_and_a_dead_one_lets_go(raw: dict[str, Any]) -> None:
    place = RunFolder(check(raw))
    other = held_by_another(raw)
    try:
        with pytest.raises(Occupied, match=f"{place.path} is being run by process {other.pid} on "), place.held():
            pytest.fail("two hold it")
        with RunFolder(check({**raw, "seed": 1})).held():  # another seed is another folder
            pass
    finally:
        other.kill()
        other.communicate()
    with place.held():
        lock = place.path.parent / ".seed0.lock"
        assert lock.read_text().startswith(f"process {os.getpid()} on ")
    with place.held():
        pass


def test_a_folder_that_is_held_is_not_run(
    small: Callable[..., int], raw: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {
        **raw,
        "model": {"_target_": "membrane.models.smlp.SMLP", "units": [16]},
        "epochs": 1,
        "timesteps": 2,
        "threads": 1,
    }
    other = held_by_another({**held, "logger": None})
    try:
        assert small() == 1
        assert f"is being run by process {other.pid}" in capsys.readouterr().out
        assert not list(tmp_path.glob("runs/digits/*/seed0/*"))
    finally:
        other.communicate("\n")


def test_a_folder_named_outright(raw: dict[str, Any], tmp_path: Path) -> None:
    named = tmp_path / "mine"
    config = check({**raw, "paths": {"run": str(named)}})
    assert RunFolder(config).path == named
    named.mkdir()
    assert RunFolder(config).path == named
    write_json(named / "provenance.json", {"fingerprint": fingerprint(config), "seed": 0})
    assert RunFolder(config).path == named
    with pytest.raises(ConfigError, match=f"holds run {fingerprint(config)} seed 0, this one is .* seed 1$"):
        RunFolder(check({**raw, "paths": {"run": str(named)}, "seed": 1}))
    with pytest.raises(
        ConfigError, match=f"holds run {fingerprint(config)} seed 0, this one is (?!{fingerprint(config)})"
    ):
        RunFolder(check({**raw, "paths": {"run": str(named)}, "epochs": 7}))
    (named / "provenance.json").unlink()
    (named / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something else than a run; name an empty or a new folder"):
        RunFolder(config)
    with pytest.raises(ConfigError, match="is not a folder"):
        RunFolder(check({**raw, "paths": {"run": str(named / "thesis.tex")}}))


def test_an_empty_folder_named_outright_is_run_in_and_another_run_refused_there(
    small: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert small("paths.run=mine") == 0
    assert (tmp_path / "mine" / "result.json").is_file()
    assert not (tmp_path / "runs").exists()
    capsys.readouterr()
    assert small("paths.run=mine", "seed=1") == 2
    assert "holds run" in capsys.readouterr().err


def test_earlier_runs_are_moved_aside_and_numbered(raw: dict[str, Any]) -> None:
    place = RunFolder(check(raw))
    for n in range(1, 12):
        place.write("result.json", {"n": n})
        assert place.move_aside().name == f"seed0.{n}"
        assert not place.path.exists()
        assert place.reruns() == n
    assert json.loads((place.path.parent / "seed0.3" / "result.json").read_text()) == {"n": 3}
    (place.path.parent / "seed0.txt").touch()
    (place.path.parent / "seed01.40").mkdir()
    assert place.reruns() == 11
    odd = RunFolder(check({**raw, "paths": {"run": str(place.path.parent / "run[1]")}}))
    for n in (1, 2):
        odd.write("result.json", {})
        assert odd.move_aside().name == f"run[1].{n}"


def test_what_an_unfinished_run_left_is_removed(raw: dict[str, Any]) -> None:
    place = RunFolder(check(raw))
    assert not place.clear()
    place.write("checkpoints/x.json", {})
    assert place.clear()
    assert not place.path.exists()


def test_what_a_run_was_writing_when_it_died_is_no_other_content(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["paths"]["run"] = str(tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".provenance.json.tmp").touch()
    assert RunFolder(check(raw)).begun() is False
    (tmp_path / "mine" / ".notes.tmp").touch()
    with pytest.raises(ConfigError, match="holds something else than a run"):
        RunFolder(check(raw))

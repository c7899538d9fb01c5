"""Files that set what only the command line may: the hydra node and trust, however that is written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cases import check_each
from commands import train
from hydra.types import RunMode

from membrane.config import composer as composition
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.sweep.jobs import jobs_of

pytestmark = pytest.mark.usefixtures("trap")

ROOT = Path(__file__).parents[2]
WHOLE = "# @package _global_\n"
CALLBACK = "{_target_: canary.Callback}"
LOGGING = "{version: 1, handlers: {h: {class: canary.Handler}}, root: {handlers: [h]}}"
HYDRA = r"^(experiment|foo|bar|local|sweep|dataset|hydra|_dummy_x)\S*\.yaml: hydra may be set on the command line"
DEFAULTS = r"^(experiment|local)/\w+\.yaml: its defaults may not choose"
EVIL = {"experiment/evil": f"{WHOLE}hydra: {{callbacks: {{c: {CALLBACK}}}}}"}
FOO = {"foo/evil": f"c: {CALLBACK}"}


def chooses(entry: str) -> str:
    """An experiment whose defaults list has one entry."""
    return f"{WHOLE}defaults:\n  - {entry}\n"


# what it does → the files of a user's folder, and how the refusal begins
FILES: dict[str, tuple[dict[str, str], str]] = {
    "callbacks": (EVIL, HYDRA),
    "job_logging": ({"experiment/evil": f"{WHOLE}hydra: {{job_logging: {LOGGING}}}"}, HYDRA),
    "hydra_logging": ({"experiment/evil": f"{WHOLE}hydra: {{hydra_logging: {LOGGING}}}"}, HYDRA),
    "env_set": ({"experiment/evil": f"{WHOLE}hydra: {{job: {{env_set: {{LD_PRELOAD: evil.so}}}}}}"}, HYDRA),
    "searchpath": ({"experiment/evil": f"{WHOLE}hydra: {{searchpath: [pkg://canary]}}"}, HYDRA),
    "sweeper": ({"experiment/evil": f"{WHOLE}hydra: {{sweeper: {CALLBACK}}}"}, HYDRA),
    "launcher": ({"experiment/evil": f"{WHOLE}hydra: {{launcher: {CALLBACK}}}"}, HYDRA),
    "run.dir": ({"experiment/evil": f"{WHOLE}hydra: {{run: {{dir: /tmp}}}}"}, HYDRA),
    "null": ({"experiment/evil": f"{WHOLE}hydra: null"}, HYDRA),
    "merge key": ({"experiment/evil": f"{WHOLE}<<: {{hydra: {{callbacks: {{c: {CALLBACK}}}}}}}"}, HYDRA),
    "package hydra": ({"experiment/evil": f"# @package hydra\ncallbacks: {{c: {CALLBACK}}}"}, HYDRA),
    "package below": ({"experiment/evil": "# @package hydra.job\nenv_set: {A: b}"}, HYDRA),
    "package after blank lines": ({"experiment/evil": "\n\n# @package hydra.job\nenv_set: {A: b}"}, HYDRA),
    "package global.hydra": ({"experiment/evil": "# @package _global_.hydra.job\nenv_set: {A: b}"}, HYDRA),
    "package in brackets": ({"experiment/evil": f"# @package hydra[callbacks]\nc: {CALLBACK}"}, HYDRA),
    "package all in brackets": ({"experiment/evil": f"# @package [hydra].callbacks\nc: {CALLBACK}"}, HYDRA),
    "override group": ({"experiment/evil": chooses("override /hydra/job_logging: stdout")}, DEFAULTS),
    "override group of one's own": (
        {"experiment/evil": chooses("override /hydra/job_logging: mine"), "hydra/job_logging/mine": LOGGING},
        rf"{HYDRA}|{DEFAULTS}",
    ),
    "add group": ({"experiment/evil": chooses("/hydra/launcher@foo: basic")}, DEFAULTS),
    "package of a choice": ({"experiment/evil": chooses("/foo@hydra.callbacks: evil"), **FOO}, rf"{HYDRA}|{DEFAULTS}"),
    "relative package": ({"experiment/evil": chooses("foo@_global_.hydra.callbacks: evil"), **FOO}, "^."),
    "package of a choice, in brackets": (
        {"experiment/evil": chooses("/foo@hydra[callbacks]: evil"), **FOO},
        rf"{HYDRA}|{DEFAULTS}",
    ),
    "package by interpolation": (
        {"experiment/evil": chooses("/foo@${dataset}.callbacks: evil"), **FOO},
        rf"{HYDRA}|{DEFAULTS}",
    ),
    "nested": (
        {"experiment/evil": chooses("/foo: nested"), "foo/nested": f"{WHOLE}hydra: {{callbacks: {{c: {CALLBACK}}}}}"},
        HYDRA,
    ),
    "nested twice": (
        {
            "experiment/evil": chooses("/foo: nested"),
            "foo/nested": chooses("/bar: deeper"),
            "bar/deeper": "# @package hydra.job\nenv_set: {A: b}",
        },
        HYDRA,
    ),
    "nested, placed globally": (
        {"experiment/evil": chooses("/foo@_global_: nested"), "foo/nested": "hydra: {job: {env_set: {A: b}}}"},
        HYDRA,
    ),
    "nested by path": (
        {"experiment/evil": chooses("/foo/nested@_global_"), "foo/nested": "hydra: {job: {env_set: {A: b}}}"},
        HYDRA,
    ),
    "chosen by interpolation": (
        {"experiment/evil": chooses("/foo: ${experiment}"), "foo/evil": "# @package hydra.job\nenv_set: {A: b}"},
        HYDRA,
    ),
    "in a data set": (
        {"experiment/evil": chooses("override /dataset: mine"), "dataset/mine": "# @package hydra.job\nenv_set: {}"},
        HYDRA,
    ),
    "optional": (
        {"experiment/evil": chooses("optional /foo: nested"), "foo/nested": "# @package hydra.job\nenv_set: {}"},
        HYDRA,
    ),
    "like Hydra's own empty file": (
        {"experiment/evil": chooses("/_dummy_x: nested"), "_dummy_x/nested": "# @package hydra.job\nenv_set: {}"},
        HYDRA,
    ),
    "reached as a sweep": (
        {"experiment/evil": chooses("/sweep@_global_: ../foo/mine"), "foo/mine": EVIL["experiment/evil"]},
        "^.",
    ),
    "reached as Hydra's": ({"experiment/evil": chooses("/hydra/../foo: mine"), "foo/mine": "{}"}, "^."),
    "a sweep of one's own": (
        {"experiment/evil": chooses("/sweep@_global_: mine"), "sweep/mine": EVIL["experiment/evil"]},
        HYDRA,
    ),
    "local of one's own": ({"experiment/evil": WHOLE, "local/default": EVIL["experiment/evil"]}, HYDRA),
    "an unsafe YAML tag": (
        {"experiment/evil": "name: !!python/object/apply:os.system [touch TOUCHED]"},
        r"^evil\.yaml, line 1",
    ),
    "trust": ({"experiment/evil": f"{WHOLE}trust: [canary.Callback]"}, r"^experiment/evil\.yaml: trust may be said"),
    "trust as a package": ({"experiment/evil": "# @package trust\na: canary.Callback"}, "trust may be said"),
    "trust in brackets": ({"experiment/evil": "# @package [trust]\na: canary.Callback"}, "trust may be said"),
    "trust, nested": (
        {"experiment/evil": chooses("/foo@_global_: nested"), "foo/nested": "trust: [canary.Callback]"},
        "trust may be said",
    ),
    "trust in a local of one's own": (
        {"experiment/evil": WHOLE, "local/default": f"{WHOLE}trust: [canary.Callback]"},
        "trust may be said",
    ),
    "trust reached as local": (
        {"experiment/evil": chooses("/local@_global_: ../foo/mine"), "foo/mine": f"{WHOLE}trust: [canary.Callback]"},
        r"a choice is named, not reached by a path|trust may be said",
    ),
    "trust in a sweep": (
        {"experiment/evil": chooses("/sweep@_global_: mine"), "sweep/mine": f"{WHOLE}trust: [canary.Callback]"},
        "trust may be said",
    ),
}


def written(folder: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder)


def refusal_of(composer: Composer, overrides: list[str], multirun: bool = False) -> str:
    """Why a command line is refused, in one line, with nothing imported or run."""
    with pytest.raises(ConfigError) as refusal:
        jobs_of(composer, composer.add_or_override(overrides), multirun)
    assert "\n" not in str(refusal.value)
    assert "canary" not in sys.modules
    assert not Path("TOUCHED").exists()
    return str(refusal.value)


def test_a_file_that_says_it_is_refused(tmp_path: Path) -> None:
    def check_files(case: str) -> None:
        files, because = FILES[case]
        assert re.search(because, refusal_of(Composer(written(tmp_path / "mine" / case, files)), ["experiment=evil"]))

    check_each(FILES, check_files)


def test_what_a_file_may_say_it_may(tmp_path: Path) -> None:
    files = {
        "experiment/good": chooses("/foo@model: units") + "  - override /model: smlp\nseed: 3\n",
        "foo/units": "units: [7]",
    }
    composer = Composer(written(tmp_path / "mine", files))
    [job], sweep = jobs_of(composer, composer.add_or_override(["experiment=good"]), multirun=False)
    assert (sweep, job.config.seed, job.config.model.units) == (False, 3, [7])
    assert "hydra" not in job.config


@pytest.mark.parametrize(
    ("overrides", "multirun"),
    [
        (["experiment=good,evil"], True),
        (["experiment=choice(good,evil)", "seed=0,1"], True),
        (["experiment=glob(*)"], True),
        (["experiment=good,evil", "hydra.mode=MULTIRUN"], False),
        (["experiment=good,evil", "hydra.sweeper._target_=hydra_plugins.other.Sweeper"], True),
        (["experiment=[good,evil]"], False),
        (["+experiment=evil"], False),
        (["+foo@_global_=evil"], False),
        (["hydra/launcher=evil"], False),
    ],
)
def test_however_it_is_chosen(overrides: list[str], multirun: bool, tmp_path: Path) -> None:
    files = {
        **EVIL,
        "experiment/good": f"{WHOLE}epochs: 2",
        "foo/evil": EVIL["experiment/evil"],
        "hydra/launcher/evil": "{}",
    }
    message = refusal_of(Composer(written(tmp_path / "mine", files)), overrides, multirun)
    assert re.search("hydra may be set on the command line|trust may be", message)


def test_a_sweep_is_refused_for_what_hydra_composes_before_its_jobs(tmp_path: Path) -> None:
    """Hydra builds a sweep's callbacks from its settings without those that are swept."""
    files = {
        "experiment/evil": chooses("override /dataset: mine"),
        "dataset/mine": f"# @package hydra.callbacks\nc: {CALLBACK}",
        "experiment/missing": chooses("/foo: ???"),
        **FOO,
    }
    composer = Composer(written(tmp_path / "mine", files))
    for overrides in (["experiment=evil", "dataset=digits,mnist"], ["experiment=evil", "dataset=glob(nothing*)"]):
        assert re.search(HYDRA, refusal_of(composer, overrides, multirun=True))
    assert re.search("the sweep has no job", refusal_of(composer, ["dataset=glob(nothing*)"], multirun=True))
    jobs, _ = jobs_of(composer, ["experiment=missing", "foo=evil,evil"], multirun=True)
    assert len(jobs) == 2


def test_a_search_path_of_the_command_line_brings_no_rights(tmp_path: Path) -> None:
    path = f"hydra.searchpath=[file://{written(tmp_path / 'mine', EVIL)}]"
    assert re.search(HYDRA, refusal_of(Composer(), [path, "experiment=evil"]))


def test_a_folder_of_the_users_replaces_none_of_our_files(tmp_path: Path) -> None:
    files = {"train": "hydra: {job: {env_set: {A: b}}}\nseed: 5", "dataset/digits": "name: theirs", **EVIL}
    composer = Composer(written(tmp_path / "mine", files))
    [job], _ = jobs_of(composer, [], multirun=False)
    assert job.config.dataset.name == "digits"
    assert composer.load([], RunMode.RUN).hydra.job.env_set == {}


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ in its place."""
    copied = Path(shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local")))
    monkeypatch.setattr(composition, "conf_folder", lambda: copied)
    return copied


def test_local_may_trust_but_not_set_hydra(conf: Path) -> None:
    jobs_of(Composer(), [], multirun=False)  # there is none: fine
    written(conf, {"local/default": f"{WHOLE}trust: [canary.Callback]\nthreads: 1"})
    [job], _ = jobs_of(Composer(), [], multirun=False)
    assert (job.config.trust, job.config.threads) == (["canary.Callback"], 1)
    for content in ("hydra: {job: {env_set: {A: b}}}", "defaults: [override /hydra/job_logging: stdout]"):
        written(conf, {"local/default": WHOLE + content})
        assert re.search("^local/default.yaml: ", refusal_of(Composer(), []))


def test_conf_sweep_and_conf_hydra_may_set_hydra_and_experiments_there_may_not(conf: Path) -> None:
    written(conf, {"sweep/seeds": f"{WHOLE}hydra: {{mode: MULTIRUN, sweeper: {{params: {{++seed: '1,2,3'}}}}}}"})
    jobs, sweep = jobs_of(Composer(), ["sweep=seeds"], multirun=False)
    assert (sweep, [job.config.seed for job in jobs]) == (True, [1, 2, 3])
    written(conf, {"hydra/job_logging/quiet": "version: 1\ndisable_existing_loggers: true"})
    jobs_of(Composer(), ["hydra/job_logging=quiet"], multirun=False)
    written(conf, EVIL)
    assert re.search(HYDRA, refusal_of(Composer(), ["experiment=evil"]))
    written(conf, {"sweep/seeds": f"{WHOLE}trust: [canary.Callback]"})
    assert re.search("trust may be said", refusal_of(Composer(), ["sweep=seeds"]))
    params = "{sweeper: {params: {++trust: '[canary.Callback]'}}}"
    written(conf, {"sweep/seeds": f"{WHOLE}hydra: {params}"})
    assert re.search("sweeper.params: trust may be said", refusal_of(Composer(), ["sweep=seeds"], multirun=True))
    written(conf, {"experiment/up": chooses("/sweep@_global_: ../experiment/evil")})
    assert re.search("a choice is named, not reached by a path", refusal_of(Composer(), ["experiment=up"]))
    written(
        conf, {"experiment/up": chooses("/local@_global_: ../foo/evil"), "foo/evil": f"{WHOLE}trust: [canary.Callback]"}
    )
    assert re.search("trust may be said|a choice is named", refusal_of(Composer(), ["experiment=up"]))


@pytest.mark.parametrize(
    "shown", [[], ["--cfg", "job"], ["--cfg", "all"], ["--cfg", "hydra"], ["--info", "searchpath"], ["--hydra-help"]]
)
def test_the_command_never_reaches_hydras_main(
    shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("membrane.cli.train.hand_to_hydra", lambda *_: pytest.fail("handed to Hydra"))
    assert train([*shown, "--config-dir", written(tmp_path / "mine", EVIL), "experiment=evil"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("membrane: experiment/evil.yaml: hydra may be set")
    assert error.count("\n") == 1


def test_the_real_command_refuses_with_2_and_one_line(tmp_path: Path) -> None:
    """And Hydra alone would have built the callback: the refusal is what stops it."""
    mine = written(tmp_path / "mine", EVIL)
    command = [sys.executable, str(ROOT / "train.py"), "--config-dir", mine, "experiment=evil"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("membrane: experiment/evil.yaml: hydra may be set on the command line")
    assert done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"canary.py", "mine", "victim"}
    alone = f"""
import sys, hydra
sys.argv = ["x", "--config-dir", {mine!r}, "experiment=evil"]
hydra.main(version_base="1.3", config_path={str(ROOT / "conf")!r}, config_name="train")(lambda cfg: None)()
"""
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"}
    subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, env=environment, capture_output=True, check=False)
    (tmp_path / "TOUCHED").unlink()  # it was there

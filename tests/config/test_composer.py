"""Command lines: the order of defaults, sweeps, and a line for every kind of mistake."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from configurations import shared_composer
from hydra import version
from packaging.version import Version

from membrane.cli import train as command
from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.sweep.jobs import Job, jobs_of

ROOT = Path(__file__).parents[2]
WHOLE = "# @package _global_\n"

# what is typed → what the one line must say: the mistake, what would be right, the nearest name
MISTAKES: list[tuple[list[str], str]] = [
    (["dataset=digitz"], r"dataset=digitz: no such choice; did you mean dataset=digits\? valid: .*digits,"),
    (["dataset="], r"dataset=: no such choice; valid: .*digits,"),
    (["dataset=3"], r"dataset=3: no such choice; valid: .*digits,"),
    (["dataset=null"], r"dataset=null: no such choice; valid: .*digits,.*; ~dataset leaves it out"),
    (["~dataset"], r"dataset: nothing is chosen; dataset=… is one of digits, digits_events, mnist"),
    (["~model"], r"model: nothing is chosen; model=… is one of smlp, scnn"),
    (["model=[smlp,scnn]"], r"model=\[smlp,scnn\]: only one can be chosen; for a sweep write -m model=smlp,scnn"),
    (["augmentation=[shift,cutot]"], r"augmentation=cutot: no such choice; did you mean augmentation=cutout\? valid: "),
    (["surrogate=atann"], r"surrogate=atann: no such choice; did you mean surrogate=atan\? valid: "),
    (["experiment=nope"], r"experiment=nope: no such choice; "),
    (["sweep=nope"], r"sweep=nope: no such choice; "),
    (["debug=fst"], r"debug=fst: no such choice; did you mean debug=fast\? valid: fast, overfit"),
    (["optimzer=adam"], r"optimzer: no such setting; did you mean optimizer\? valid: augmentation, batch_size,"),
    (["experimnt=nope"], r"experimnt: no such setting; did you mean experiment\? valid: .*, experiment, .*, sweep, "),
    (["dataset.path=my.npz"], r"dataset.path: no such setting of this data set; .* dataset=arrays dataset.path=FILE$"),
    (["recompute=2"], r"recompute: no such setting by itself; did you mean trainer\.recompute\?$"),
    (["truncation=2"], r"truncation: no such setting by itself; did you mean framework\.truncation\?$"),
    (["tau=3.0"], r"tau: no such setting by itself; did you mean neuron\.tau or readout\.tau\?$"),
    (["batches=2"], r"batches: no such setting by itself; did you mean debug\.batches\?$"),
    (["sweeep=seeds"], r"sweeep: no such setting; did you mean sweep\? valid: "),
    (["hydra.launcher.job_timeout=2h"], r"hydra\.launcher\.job_timeout: the launcher .*; hydra/launcher=processes has"),
    (["foo/bar=baz"], r"foo/bar=baz: no such group; a setting is written with dots"),
    (["~fooo"], r"~fooo: no such setting; valid: "),
    (["optimizer.lrr=3"], r"optimizer\.lrr: no such setting; did you mean lr\? valid: amsgrad, betas, eps, lr"),
    (["optimizer.lr=abc"], r"optimizer\.lr: expected a number, got 'abc'"),
    (["name=${foo}"], r"name: Interpolation key 'foo' not found"),
    (["name=${oc.env:NO_SUCH_VARIABLE}"], r"name: Environment variable 'NO_SUCH_VARIABLE' not found"),
    (["name=???"], r"name: Missing mandatory value"),
    (["multistep_tid"], r"'multistep_tid': write setting=value .* did you mean framework=multistep_tid\?"),
    (["seed"], r"'seed': write setting=value or group=choice"),
    (["=3"], r"'=3': write setting=value or group=choice"),
    (["seed==3"], r"'seed==3' cannot be read \(extraneous input '='\): quote what is special"),
    (["model.filters=[1,2"], r"'model\.filters=\[1,2' cannot be read"),
    (["seed = 3"], r"'seed = 3' cannot be read"),
    (["seed=1,2"], r"seed=1,2: several values need -m, a sweep; a list is seed=\[1,2\]"),
    (["dataset@x=digits"], r"Could not override 'dataset@x': Did you mean to override dataset\?"),
    (["hydra.nope=1"], r".*Key 'nope' not in 'HydraConf'"),
    (["hydra/launcher=nope"], r"hydra/launcher=nope: no such choice; valid: basic"),
    (["hydra.job.env_copy=[NO_SUCH_VARIABLE]"], r"KeyError: 'NO_SUCH_VARIABLE'"),
    (["max_time=15"], r"max_time: expected a time such as 45s, 10m or 1h30m, got '15'"),
    (["--nope"], r"--nope: no such option; settings have no dashes, as epochs=5; see --help"),
    (["--cfg", "nope"], r"argument --cfg/-c: invalid choice: 'nope'"),
    (["--config-dir", "nope"], r"--config-dir: nope is not a folder"),
    (["--resolve"], r"--package and --resolve go only with --cfg"),
]


@pytest.fixture
def composer() -> Composer:
    return shared_composer()


def single(composer: Composer, *overrides: str) -> Job:
    [job], sweep = jobs_of(composer, composer.add_or_override(overrides), multirun=False)
    assert not sweep
    return job


def written(folder: Path, **experiments: str) -> str:
    """A folder of the user's with experiments."""
    for name, content in experiments.items():
        (folder / "experiment").mkdir(parents=True, exist_ok=True)
        (folder / "experiment" / f"{name}.yaml").write_text(WHOLE + content)
    return str(folder)


@pytest.mark.parametrize(
    ("typed", "message"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_is_one_line_and_2(
    typed: list[str],
    message: str,
    membrane: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "hand_to_hydra", lambda *_: pytest.fail("handed to Hydra"))
    assert membrane(*typed) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(f"membrane: {message}", error), error
    assert not list(Path().iterdir())


def test_mistakes_and_help_come_without_torch(tmp_path: Path) -> None:
    code = """
import sys
from membrane.cli.main import main
typed = (["dataset=digitz"], ["optimizer.lr=abc"], ["--help"], ["--cfg", "job"])
codes = [main(["train", *arguments]) for arguments in typed]
print(codes, "torch" in sys.modules, "lightning" in sys.modules, "wandb" in sys.modules, "sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[2, 2, 0, 0] False False False False"
    assert not list(tmp_path.iterdir())


def test_a_tid_framework_alone_runs_on_event_data(composer: Composer) -> None:
    for framework in ("singlestep_tid", "multistep_tid"):
        assert single(composer, f"framework={framework}").config.dataset.name == "digits_events"
    assert single(composer, "framework=multistep").config.dataset.name == "digits"


def test_another_data_set_wins_over_the_frameworks(tmp_path: Path) -> None:
    events = "defaults:\n  - override /framework: multistep_tid\n"
    mine = Composer(
        written(
            tmp_path,
            first=f"{events}  - override /dataset: mnist\n",
            after="defaults:\n  - override /dataset: mnist\n  - override /framework: multistep_tid\n",
            alone=events,
            only="defaults:\n  - override /dataset: mnist\n",
        )
    )
    tid = "framework=multistep_tid"
    assert single(mine, tid, "dataset=mnist").config.dataset.name == "mnist"
    assert single(mine, "dataset=mnist", tid).config.dataset.name == "mnist"
    assert single(mine, tid, "experiment=only").config.dataset.name == "mnist"
    assert single(mine, "experiment=first").config.dataset.name == "mnist"
    assert single(mine, "experiment=after").config.dataset.name == "mnist"
    assert single(mine, "experiment=alone").config.dataset.name == "digits_events"
    assert single(mine, "experiment=first", "dataset=fashion_mnist").config.dataset.name == "fashion_mnist"
    assert single(mine, tid, "dataset=mnist").config.name == "mnist"


def test_a_regression_set_brings_its_loss_and_what_is_watched_unless_someone_else_does(tmp_path: Path) -> None:
    mine = Composer(
        written(
            tmp_path,
            regression="defaults:\n  - override /dataset: diabetes\n",
            theirs="defaults:\n  - override /loss: cross_entropy\n  - override /dataset: digits\n",
        )
    )

    def chosen(*typed: str) -> tuple[str, str]:
        config = resolved(single(mine, *typed).config)
        return config["loss"]["_target_"].rpartition(".")[2], config["trainer"]["monitor"]

    assert chosen() == chosen("framework=multistep_tid") == ("CrossEntropy", "val/acc")
    for typed in (["dataset=diabetes"], ["experiment=regression"], ["experiment=regression", "trainer=cpu"]):
        assert chosen(*typed) == ("MSE", "val/loss")
    for typed in (["loss=cross_entropy", "dataset=diabetes"], ["experiment=theirs", "dataset=diabetes"]):
        assert chosen(*typed) == ("CrossEntropy", "val/loss")
    assert chosen("dataset=diabetes", "trainer.monitor=val/corr") == ("MSE", "val/corr")
    assert chosen("experiment=regression", "dataset=mnist") == ("CrossEntropy", "val/acc")
    jobs, _ = jobs_of(mine, mine.add_or_override(["dataset=digits,diabetes"]), multirun=True)
    configs = [check(resolved(job.config)) for job in jobs]
    assert [(config.name, config.loss.name_of_choice) for config in configs] == [
        ("digits", "cross_entropy"),
        ("diabetes", "mse"),
    ]


def test_the_rules_are_those_that_hydras_main_has() -> None:
    version.VersionBase.instance().setbase(Version("1.1"))
    Composer()
    assert version.getbase() == Version("1.3")


def test_an_experiments_values_win_over_ours_and_the_command_line_over_both(tmp_path: Path) -> None:
    mine = Composer(written(tmp_path, paper="epochs: 7\noptimizer: {lr: 0.5}\nname: theirs\n"))
    for typed in (["experiment=paper"], ["+experiment=paper"]):
        config = check(resolved(single(mine, *typed, "optimizer.lr=0.25").config))
        assert (config.epochs, config.optimizer.lr, config.name) == (7, 0.25, "theirs")
    assert check(resolved(single(mine, "experiment=paper", "name=mine").config)).name == "mine"


def test_an_experiment_that_is_not_placed_globally_is_told(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "paper.yaml").write_text("epochs: 7\n")
    with pytest.raises(ConfigError, match=r"^experiment/paper\.yaml: its first line must be `# @package _global_`$"):
        single(Composer(str(tmp_path)), "experiment=paper")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs: [", r"paper\.yaml, line \d: "),
        ("epochs: 1\nepochs: 2", r"paper\.yaml, line 3: found duplicate key epochs"),
        ("- 1", r".*paper"),
        ("defaults: {dataset: mnist}", r".*experiment/paper.*defaults must be a list"),
        ("defaults: [{override /dataset: mnistt}]", r"dataset=mnistt: no such choice; did you mean"),
        ("defaults: [/nope: x]", r"experiment/paper\.yaml: nope: no such group; valid: augmentation, callbacks"),
        ("defaults: [{a: b, c: d}]", r".*Too many keys"),
        ("defaults: [5]", r".*"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as refusal:
        single(Composer(written(tmp_path, paper=content)), "experiment=paper")
    assert "\n" not in str(refusal.value)


def test_settings_that_no_file_says_can_be_set_and_referred_to(composer: Composer) -> None:
    config = check(
        resolved(
            single(composer, "epochs=12", "scheduler=cosine", "scheduler.T_max=${epochs}", "name=b${batch_size}").config
        )
    )
    assert (config.epochs, config.scheduler.parameters()["T_max"], config.name) == (12, 12, "b64")
    for typed in ("seed=3", "+seed=3", "++seed=3"):
        assert check(resolved(single(composer, typed).config)).seed == 3
    for typed in ("optimizer=adam", "+optimizer=adam", "++optimizer=adam", "optimizer={lr: 0.5}"):
        assert check(resolved(single(composer, typed).config)).optimizer.name_of_choice == (
            "adamw" if "{" in typed else "adam"
        )

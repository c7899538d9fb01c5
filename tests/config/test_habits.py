"""Names of other templates are answered with what to write here, and what is said there works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import check_each
from commands import evaluate, train
from configurations import configured, shared_composer

from membrane import __version__
from membrane.cli.main import main
from membrane.config.habits import CHOICES, COMMANDS, SETTINGS
from membrane.errors import ConfigError

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"(?<![\w/.])[a-z_]+(?:[./][a-z_]+)*=(?:\[[^]]*]|[\w./-]+)")
"""A setting or choice within a text."""
LISTED = {
    "ckpt_path=runs/x": "init=RUN starts from weights, membrane evaluate RUN tests them",
    "trainer.max_epochs=3": "trainer.max_epochs: no such setting; write epochs=20",
    "trainer.gradient_clip_val=0.5": "write trainer.clip_norm=1.0",
    "tags=[dev]": "write logger.tags=[a,b]",
    "logger.wandb.project=p": "logger.project=NAME",
    "hydra/launcher=joblib": "hydra/launcher=joblib: no such choice; write hydra/launcher=processes",
    "hparams_search=mnist_optuna": "write sweep=optuna",
    "compile=true": "write trainer.compile=true",
    "extras.print_config=true": "--cfg job prints the configuration",
    "train=False": "membrane evaluate RUN tests alone",
    "callbacks=default": "leave it out: checkpoints",
    "callbacks=[default,ema]": "leave it out: checkpoints",
    "callbacks.model_checkpoint.monitor=val/acc": "trainer.monitor=val/acc says which is the best",
    "data.batch_size=3": "batch_size=64",
    "model.optimizer.lr=0.1": "optimizer.lr=0.001",
}
"""What is typed in other templates → what the answer must contain."""


def refused(*typed: str) -> str:
    with pytest.raises(ConfigError) as caught:
        configured(*typed)
    line = str(caught.value)
    assert "\n" not in line
    assert "valid:" not in line
    return line


def test_what_is_typed_elsewhere_is_translated() -> None:
    def check(typed: str) -> None:
        assert LISTED[typed] in refused(typed)

    check_each(LISTED, check)


def test_every_habit_is_one_that_is_refused_with_its_translation() -> None:
    def check(typed: str, text: str) -> None:
        assert text in refused(typed)

    settings = [(f"{name}=1", text) for name, text in SETTINGS.items()]
    check_each([*settings, *CHOICES.items()], lambda case: check(*case))


def test_every_translation_works() -> None:
    texts = {*SETTINGS.values(), *CHOICES.values()}
    tokens = sorted({token for text in texts for token in TOKEN.findall(text)} - {"init=RUN"})
    assert len(tokens) > 30

    def check(token: str) -> None:
        if token.startswith(("sweep=", "hydra/")):
            composer = shared_composer()
            composer.compose(composer.add_or_override([token]))
        else:
            needs = {"callbacks.": ["callbacks=early_stop"], "encoder=": ["dataset=digits", "framework=multistep_tid"]}
            around = [each for start, words in needs.items() if token.startswith(start) for each in words]
            configured(*(around if token != "encoder=none" else []), token)

    check_each([token for token in tokens if not token.startswith("WANDB")], check)


def test_a_setting_that_is_only_mistyped_is_not_taken_for_a_habit() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.acumulate: no such setting; did you mean accumulate\? valid: "):
        configured("trainer.acumulate=2")


@pytest.mark.parametrize("word", COMMANDS)
def test_commands_of_elsewhere_are_named(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert f"did you mean membrane {COMMANDS[word]}?" in capsys.readouterr().err


def test_what_is_evaluated_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["ckpt_path=runs/x/last.ckpt"]) == 2
    assert evaluate(["timesteps=4"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "membrane: RUN comes first: membrane evaluate runs/x/last.ckpt",
        "membrane: RUN comes first: membrane evaluate RUN timesteps=4",
    ]


def test_the_version_is_membranes(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--version"]) == 0
    assert capsys.readouterr().out == f"membrane {__version__}\n"


@pytest.mark.parametrize(("script", "command"), [("train", "membrane train"), ("eval", "membrane evaluate RUN")])
def test_who_looks_for_the_program_below_src_is_told_where_it_is(script: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "src" / f"{script}.py", "epochs=1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert command in done.stderr
    assert done.stderr.count("\n") == 1

"""Hydra's own options: those that are read, those that are refused in one line, and what Hydra shows by itself."""

import os
import re
import sys
from collections.abc import Callable

import pytest
from cases import check_each

from membrane.cli.hydra_options import hydra_options, show_by_hydra
from membrane.errors import ConfigError

CFG_ONLY = "--package and --resolve go only with --cfg; see --help"
INFO = "--info shows defaults, defaults-tree, plugins or searchpath; --cfg all the configuration"
UNPICKLES = "--experimental-rerun unpickles what it is given; start the run again with its overrides instead"
FIXED = "--config-name and --config-path are fixed to conf/train.yaml; add files with --config-dir"
REFUSED = [
    (["--nope"], "--nope: no such option; settings have no dashes, as epochs=5; see --help"),
    (["seed=3", "--nope", "--never"], "--nope: no such option; settings have no dashes, as epochs=5; see --help"),
    (["--cfg", "nope"], r"argument --cfg/-c: invalid choice: 'nope' .*; see --help"),
    (["--package", "model"], CFG_ONLY),
    (["--resolve"], CFG_ONLY),
    (["--info"], INFO),
    (["--info", "config"], INFO),
    (["--experimental-rerun", "x.pickle"], UNPICKLES),
    (["--experimental-rerun="], UNPICKLES),
    (["--config-name", "x"], FIXED),
    (["--config-path", "x"], FIXED),
    (["-cn", ""], FIXED),
    (["-cp", ""], FIXED),
]


def test_options_and_overrides_are_told_apart_in_any_order() -> None:
    options = hydra_options(["seed=3", "-m", "--config-dir", "mine", "name=x", "--cfg", "job", "--package", "model"])
    assert options.overrides == ["seed=3", "name=x"]
    assert (options.multirun, options.config_dir, options.cfg, options.package) == (True, "mine", "job", "model")
    bare = hydra_options([])
    assert (bare.overrides, bare.multirun, bare.config_dir, bare.cfg, bare.help) == ([], False, None, None, False)


def test_what_goes_together_is_taken() -> None:
    assert hydra_options(["--cfg", "hydra", "--resolve"]).resolve
    assert hydra_options(["--info", "searchpath"]).info == "searchpath"
    assert hydra_options(["--help"]).help


def test_options_that_are_refused_are_one_line() -> None:
    def check(case: tuple[list[str], str]) -> None:
        arguments, line = case
        with pytest.raises(ConfigError, match=f"^{line}$") as refusal:
            hydra_options(arguments)
        assert "\n" not in str(refusal.value)

    check_each(REFUSED, check)


@pytest.mark.parametrize("before", [None, "0"])
def test_hydra_completes_a_word_and_leaves_no_trace(
    before: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/membrane", "its", "arguments"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if before is not None:
        monkeypatch.setenv("HYDRA_FULL_ERROR", before)
    line = "membrane framework=multistep_"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    show_by_hydra(["-sc", "query=bash"])
    assert capsys.readouterr().out.split() == ["framework=multistep_tid"]
    show_by_hydra(["-sc", "install=bash"])
    assert capsys.readouterr().out.strip().endswith("-F hydra_bash_completion membrane")
    assert sys.argv == ["/usr/bin/membrane", "its", "arguments"]
    assert os.environ.get("HYDRA_FULL_ERROR") == before


def test_what_hydra_cannot_show_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    install = '; completion is switched on with eval "$(python train.py -sc install=bash)"'
    monkeypatch.setattr(sys, "argv", ["train.py"])
    for arguments in (["-sc", "query=bash"], ["-sc", "foo"]):
        with pytest.raises(ConfigError, match=f"{re.escape(install)}$") as refusal:
            show_by_hydra(arguments)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ConfigError, match=r"^.*model/nope") as refusal:
        show_by_hydra(["--info", "defaults", "model=nope"])
    assert "\n" not in str(refusal.value)
    assert sys.argv == ["train.py"]
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_the_command_says_how_completion_is_switched_on(
    membrane: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    assert membrane("-sc", "query=bash") == 2
    assert capsys.readouterr().err.endswith('switched on with eval "$(membrane train -sc install=bash)"\n')

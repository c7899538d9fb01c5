"""The lines that reach the terminal, and those that only the log file gets."""

import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from membrane.schema.environment import FromEnvironment
from membrane.tracking import log
from membrane.tracking.log import log_to_file, log_to_terminal


def test_our_lines_reach_both_and_a_librarys_only_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = logging.getLogger("lightning.pytorch")
    own = logging.StreamHandler(sys.stdout)
    library.addHandler(own)
    try:
        with log_to_terminal(), log_to_file(tmp_path / "run.log"):
            logging.getLogger("membrane.training.run").info("training begins")
            library.warning("a tip")
            warnings.warn("deprecated", stacklevel=1)
        printed, written = capsys.readouterr().out, (tmp_path / "run.log").read_text()
        assert printed == "training begins\n"
        assert "training begins" in written
        assert "a tip" in written
        assert "deprecated" in written
        assert own in library.handlers
    finally:
        library.removeHandler(own)


def test_a_name_sends_the_terminal_nothing_that_it_would_obey(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log_to_terminal(), log_to_file(tmp_path / "run.log"):
        log = logging.getLogger("membrane.training.run")
        log.info("folder: %s", Path("runs/a\x1b[2J\nmembrane: all is well"))
        log.error("failed: %s\n%s", "name=\u202ex", "Traceback:\n  \x1b]0;title\x07")
    printed = capsys.readouterr().out
    assert printed == (
        "folder: runs/a\\x1b[2J membrane: all is well\nfailed: name=\\u202ex\nTraceback:\n  \\x1b]0;title\\x07\n"
    )
    written = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition("training.run: ")[2] or line for line in written] == printed.splitlines()


def test_a_value_of_the_environment_is_masked_as_it_is_printed(tmp_path: Path) -> None:
    value = "our\tlab\x1b"
    with log_to_file(tmp_path / "run.log", FromEnvironment(values=frozenset({value}))):
        logging.getLogger("membrane.training.run").warning("folder: %s, project %s", Path(value), value)
    assert "folder: ***, project ***\n" in (tmp_path / "run.log").read_text()


def test_nothing_stays_behind(tmp_path: Path) -> None:
    root, ours = logging.getLogger(), logging.getLogger("membrane")
    before = (list(root.handlers), root.level, list(ours.handlers), ours.level)
    with pytest.raises(KeyError), log_to_terminal(), log_to_file(tmp_path / "run.log"):
        raise KeyError
    assert (list(root.handlers), root.level, list(ours.handlers), ours.level) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_file_on_a_full_disk_is_told_once_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log, "open_regular", lambda path, flags: os.open("/dev/full", flags))
    with log_to_terminal(), log_to_file(Path("run.log")):
        logging.getLogger("membrane.training.run").info("training begins")
        logging.getLogger("membrane.training.run").info("training goes on")
    printed = capsys.readouterr()
    assert printed.out == "training begins\ntraining goes on\n"
    assert printed.err == "membrane: run.log cannot be written: [Errno 28] No space left on device\n"


def test_a_run_log_holds_no_librarys_notices(tmp_path: Path) -> None:
    with log_to_terminal(), log_to_file(tmp_path / "run.log"):
        logging.getLogger("lightning.pytorch.utilities.rank_zero").info("GPU available: False")
        logging.getLogger("py.warnings").warning("/x/site-packages/y.py:21: `LeafSpec` is deprecated")
        logging.getLogger("their_package.model").info("four layers")
        logging.getLogger("lightning.pytorch").warning("few workers")
    written = [line.rpartition(": ")[2] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert written == ["four layers", "few workers"]

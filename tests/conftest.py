"""What all tests share: a place for runs, and nothing of the person's own settings."""

import copy
import csv
import gc
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["composition", "products", "run_folders"]

SMALL = ("logger=csv", "epochs=1", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1", "figures=false")
CANARY = """
import logging, pathlib
from hydra.experimental.callback import Callback as Base
def touch(**settings): pathlib.Path(__file__).with_name("TOUCHED").touch()
touch()
class Model:
    __init__ = lambda self, **settings: touch()
class Callback(Base):
    __init__ = lambda self, **settings: touch()
class Handler(logging.StreamHandler):
    pass
"""


def pytest_configure(config: pytest.Config) -> None:
    """Look for no garbage while modules are imported and tests are collected, and time no example of Hypothesis."""
    gc.disable()
    if hasattr(config, "workerinput") or not config.getoption(
        "numprocesses", None
    ):  # runs tests, not only hands them out
        from hypothesis import HealthCheck, settings

        settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of garbage collection, and collect a tenth as often as usual."""
    gc.freeze()
    gc.set_threshold(7000, 10, 10)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def looked_up_once() -> Iterator[None]:
    """Look for Lightning's plug-ins and the commands' headlines once: they are the same at every start."""
    from membrane.cli import main

    connector = sys.modules.get("lightning.pytorch.trainer.connectors.callback_connector")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(main, "headline", cache(main.headline))
        if connector is not None:
            patched.setattr(connector, "_load_external_callbacks", cache(connector._load_external_callbacks))
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No tracker account, a command line to be changed, and one thread: the nets are small.

    In the end no new handler is left at the root logger, where Hydra's `--info` puts one.
    """
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setenv("WANDB_MODE", "offline")
    for scheme in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")  # where nothing listens: no test leaves this machine
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    import torch

    torch.set_num_threads(1)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def membrane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command line in this process, in a folder of its own; returns the exit code."""
    from membrane.cli.main import main

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["train", *arguments])


@pytest.fixture
def small(membrane: Callable[..., int]) -> Callable[..., int]:
    """Run the smallest whole run, about a second, with what is said."""
    return lambda *arguments: membrane(*SMALL, *arguments)


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the smallest whole run, finished; not to be changed."""
    from membrane.cli.main import main

    folder = tmp_path_factory.mktemp("small")
    with chdir(folder):
        assert main(["train", *SMALL]) == 0
    return folder / "runs"


@pytest.fixture
def after_small(small: Callable[..., int], small_runs: Path) -> Callable[..., int]:
    """Do as `small` does where the smallest whole run has finished already."""
    shutil.copytree(small_runs, "runs")
    return small


@pytest.fixture(scope="session")
def stopped_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the smallest run of five epochs, stopped at step 50, in the third; not to be changed.

    An epoch has 20 steps and 4 batches of validation, and the run looks after each whether it is to stop.
    """
    from membrane.cli.main import main

    folder = tmp_path_factory.mktemp("stopped")
    with chdir(folder), pytest.MonkeyPatch.context() as patched:
        stop_at_look(2 * 24 + 10, patched)
        assert main(["train", *SMALL, "epochs=5"]) == 75
    return folder / "runs"


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the next run be told to stop when it looks whether it is for that time, once; it looks after each step."""
    return lambda look: stop_at_look(look, monkeypatch)


def stop_at_look(look: int, patched: pytest.MonkeyPatch) -> None:
    """Let the next run be told to stop when it looks for that time whether it is, once."""
    from membrane.errors import Stopped
    from membrane.runs.stopping import Stop

    looks = iter(range(1, 1_000_000))
    saved = lambda _: Stopped("the test", 1, saved=True) if next(looks) == look else None  # noqa: E731
    patched.setattr(Stop, "requested", saved)


@pytest.fixture(scope="session")
def plain() -> dict[str, Any]:
    """The default configuration, composed and resolved; not to be changed."""
    from membrane.config.check import resolved
    from membrane.config.composer import Composer

    return resolved(Composer().compose([]))


@pytest.fixture
def raw(plain: dict[str, Any]) -> dict[str, Any]:
    """The default configuration, for a test to change."""
    return copy.deepcopy(plain)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be in, with a module that tells if it is imported and a file to lose; in the end neither happened."""
    (tmp_path / "canary.py").write_text(CANARY)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    assert "canary" not in sys.modules
    assert not {"TOUCHED", "runs", "outputs", "multirun"} & {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "victim" / "file").exists()


@pytest.fixture
def remains() -> Callable[[Path], dict[str, Any]]:
    """What is left of a run, to the last bit, but for paths and times: checkpoints, table, result."""
    from membrane.training import checkpoints

    def read(run: Path) -> dict[str, Any]:
        folder, names = run / "checkpoints", ("last.ckpt", "best.ckpt")
        states = {name: checkpoints.read_checkpoint(folder / name) for name in names if (folder / name).exists()}
        with (run / "metrics.csv").open(newline="") as file:
            table = [[cell for name, cell in row.items() if name != "seconds"] for row in csv.DictReader(file)]
        result = json.loads((run / "result.json").read_text())
        digests = {name: checkpoints.state_digest(state) for name, state in states.items()}
        return {"states": digests, "table": table, "metrics": result["metrics"], "epochs": result["epochs"]}

    return read

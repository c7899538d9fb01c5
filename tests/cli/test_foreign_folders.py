"""Somebody else's run folder, each of its entries replaced by something else, under every command that opens it."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from conftest import SMALL

import membrane as package
from membrane.cli.main import main
from membrane.errors import DataError

PATIENCE = 60
"""Seconds until a command counts as one that waits for ever."""
SIBLING = "sibling/0123456789ab/seed0"


def link(entry: Path, victim: Path) -> None:
    """A link to a file or folder with the same content, of which nothing may change."""
    entry.rename(victim)
    entry.symlink_to(victim)


def dangling(entry: Path, victim: Path) -> None:
    """A link to a name that is not there, and may not be made."""
    remove(entry)
    entry.symlink_to(victim)


def pipe(entry: Path, victim: Path) -> None:
    """A pipe, into which nobody writes and from which nobody reads."""
    remove(entry)
    os.mkfifo(entry)


def other_type(entry: Path, victim: Path) -> None:
    """A folder in a file's place, a file in a folder's."""
    is_folder = entry.is_dir()
    remove(entry)
    if is_folder:
        entry.write_text("a file")
    else:
        entry.mkdir()


REPLACEMENTS = (link, dangling, pipe, other_type)


def remove(entry: Path) -> None:
    """Remove a file or a folder."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def content_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pristine(small_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two finished runs, one evaluated and with a file in every folder that runs write."""
    runs = tmp_path_factory.mktemp("pristine") / "runs"
    [run] = small_runs.glob("digits/*/seed0")
    shutil.copytree(small_runs, runs)
    shutil.copytree(run, runs / SIBLING)
    [run] = runs.glob("digits/*/seed0")
    for name in ("FAILED.json", "PRUNE", "figures/raster.png", f"evaluations/{run.parent.name}.json"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}")
    return runs


def entries_of(run: Path) -> list[str]:
    """Return the files and folders of a run, relative to it, in order."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


@pytest.fixture
def patience() -> Iterator[None]:
    """End a command that waits for ever, as by reading a pipe."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError("it waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def evaluate(run: Path) -> int:
    return main(["evaluate", str(run)])


def train(run: Path) -> int:
    return main(["train", *SMALL, f"paths.run={run}"])


def init(run: Path) -> int:
    return main(["train", *SMALL, "name=new", f"init={run}"])


def extend(run: Path) -> int:
    return main(["train", f"extend={run}", "epochs=2", "name=new"])


def load(run: Path) -> int:
    with pytest.raises(DataError) as refused:
        package.load(run)
    print(refused.value)
    return 1


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("command", [evaluate, train, init, extend, load])
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_an_entry_that_is_something_else_costs_a_line_and_changes_nothing(
    pristine: Path,
    replace: Callable[[Path, Path], None],
    command: Callable[[Path], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    [original] = pristine.glob("digits/*/seed0")
    for number, name in enumerate(entries_of(original)):
        outside = tmp_path / f"{number}"
        run, victim = outside / "run", outside / "victim"
        shutil.copytree(original, run)
        replace(run / name, victim)
        before = content_below(outside)
        capsys.readouterr()
        assert command(run) in (1, 2), name
        printed = capsys.readouterr()
        assert len((printed.out + printed.err).splitlines()) == 1, (name, printed)
        assert f"{run / name}: " in printed.out + printed.err, name
        assert content_below(outside) == before, name
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_the_others_are_listed_whatever_one_run_holds(
    pristine: Path,
    replace: Callable[[Path, Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    [original] = pristine.glob("digits/*/seed0")
    for number, name in enumerate(entries_of(original)):
        runs = tmp_path / f"{number}"
        shutil.copytree(pristine, runs)
        [run] = runs.glob("digits/*/seed0")
        replace(run / name, tmp_path / f"{number}.victim")
        before = content_below(runs)
        assert main(["status", str(runs)]) == (name == "result.json"), name
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:2] for line in lines if line.startswith("sibling/")] == [[SIBLING, "finished"]], name
        assert len([line for line in lines if line.startswith("digits/")]) == 1, (name, lines)
        assert content_below(runs) == before, name


def test_no_link_at_a_temporary_name_is_written_through(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [original] = pristine.glob("digits/*/seed0")
    run, victim = tmp_path / "run", tmp_path / "victim"
    shutil.copytree(original, run)
    victim.write_text("precious")
    [evaluation] = (run / "evaluations").iterdir()
    for name in (f".{evaluation.name}.tmp", f"{evaluation.name}.tmp", f".{evaluation.stem}.tmp"):
        (run / "evaluations" / name).symlink_to(victim)
    assert evaluate(run) == 0
    assert victim.read_text() == "precious"
    assert '"metrics"' in evaluation.read_text()
    assert not evaluation.is_symlink()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_lock_that_is_something_else_costs_a_line_and_changes_nothing(
    replace: Callable[[Path, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lock, victim = tmp_path / ".run.lock", tmp_path / "victim"
    lock.write_text("process 1 on nowhere")
    replace(lock, victim)
    before = content_below(tmp_path)
    assert train(tmp_path / "run") == 1
    printed = capsys.readouterr()
    assert len((printed.out + printed.err).splitlines()) == 1
    assert f"{lock}: a " in printed.out + printed.err
    assert content_below(tmp_path) == before

"""The entries of a run's folder: which are refused, and which are removed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from membrane.errors import DataError
from membrane.runs.contents import has_contents, remove_contents, remove_temporaries, require_own_entries

WRITTEN = (
    "config.yaml",
    "run.log",
    "metrics.csv",
    "result.json",
    "FAILED.json",
    "PRUNE",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt.sha256",
    "checkpoints/damaged.ckpt",
    "figures/raster.png",
    "outputs/test.npz",
    "outputs/per_class.csv",
    "evaluations/0123456789ab.json",
    "evaluations/0123456789ab.last.json",
    "evaluations/0123456789ab.anytime.json",
    "evaluations/0123456789ab.last.anytime.json",
    "tensorboard/events.out.tfevents.1.host.2.3",
    "tensorboard/hparams.yaml",
    "wandb/offline-run-20300101_000000-0123456789abcdef/files/config.yaml",
    "wandb/debug.log",
)
PARTIAL = (
    ".metrics.csv.0123456789abcdef.tmp",
    "checkpoints/.last.ckpt.tmp",
    "checkpoints/.best.ckpt.sha256.0123456789abcdef.tmp",
)
THEIRS = (
    "notes.md",
    "my/plot.csv",
    ".notes.md.tmp",
    "figures/mine.png",
    "checkpoints/mine.ckpt",
    "evaluations/table.json",
    "wandb/settings",
    "result.json.bak",
)


def write(run: Path, *names: str) -> None:
    for name in names:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("content")


def files_in(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if not path.is_dir()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write(tmp_path / "run", "provenance.json", *WRITTEN, *PARTIAL)
    return tmp_path / "run"


def test_what_a_run_wrote_is_removed_whole(run: Path) -> None:
    assert has_contents(run)
    remove_contents(run)
    assert not run.exists()
    assert not has_contents(run)


def test_the_persons_own_files_stay_in_a_folder_that_is_still_the_runs(run: Path) -> None:
    write(run, *THEIRS)
    remove_contents(run)
    assert files_in(run) == {"provenance.json", *THEIRS}


def test_a_link_is_removed_and_not_what_it_leads_to(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", "last.ckpt", "x")
    (run / "checkpoints" / "previous.ckpt").symlink_to(tmp_path / "other" / "last.ckpt")
    (run / "wandb" / "latest-run").symlink_to(tmp_path / "other")
    remove_contents(run)
    assert not run.exists()
    assert files_in(tmp_path / "other") == {"last.ckpt", "x"}
    write(run, "run.log")
    (run / "figures").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="a link"):
        remove_contents(run)


def test_only_what_was_not_yet_whole_is_removed_before_a_run_goes_on(run: Path) -> None:
    write(run, *THEIRS)
    remove_temporaries(run)
    assert files_in(run) == {"provenance.json", *WRITTEN, *THEIRS}
    remove_temporaries(run / "nowhere")


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [link, dangling, pipe, folder])
@pytest.mark.parametrize("name", ["provenance.json", *(name for name in WRITTEN if name.count("/") < 2)])
def test_an_entry_that_is_no_file_is_refused(run: Path, name: str, put: Callable[[Path], None]) -> None:
    require_own_entries(run)
    (run / name).unlink()
    put(run / name)
    if name.startswith(("wandb", "tensorboard")) and put is not link:
        return require_own_entries(run)  # of their libraries' files, only one that leads out of the run is refused
    with pytest.raises(DataError) as refused:
        require_own_entries(run)
    assert str(refused.value).startswith(f"{run / name}: a ")
    assert "\n" not in str(refused.value)
    return None


@pytest.mark.parametrize("name", ["checkpoints", "figures", "outputs", "evaluations", "tensorboard", "wandb"])
def test_a_folder_of_a_run_that_is_none_is_refused(run: Path, name: str, tmp_path: Path) -> None:
    (run / name).rename(tmp_path / "moved")
    (run / name).symlink_to(tmp_path / "moved")
    with pytest.raises(DataError, match=f"{name}: a link"):
        require_own_entries(run)
    (run / name).unlink()
    (run / name).write_text("a file")
    with pytest.raises(DataError, match=f"{name}: Not a directory"):
        require_own_entries(run)


def test_links_of_a_tracker_within_the_run_are_its_own(run: Path, tmp_path: Path) -> None:
    (run / "wandb" / "latest-run").symlink_to("offline-run-20300101_000000-0123456789abcdef")
    (run / "my.png").symlink_to("/etc/hostname")  # under a name that no run writes
    require_own_entries(run)
    (run / "wandb" / "latest-run" / "logs").mkdir()
    (run / "wandb" / "latest-run" / "logs" / "debug-core.log").symlink_to(tmp_path / "W&B's own log")
    require_own_entries(run)
    (run / "wandb" / "latest-run" / "logs" / "debug-core.log").unlink()
    (run / "wandb" / "latest-run" / "logs").rmdir()
    (run / "wandb" / "latest-run" / "logs").symlink_to(tmp_path)
    with pytest.raises(DataError, match="logs: a link"):
        require_own_entries(run)


def test_a_folder_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    require_own_entries(tmp_path / "nowhere")

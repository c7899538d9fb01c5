"""The entries of a run's folder: the names that membrane writes there. Only these are opened, and ever removed.

The folder may be somebody else's: none of these entries may be a link, and files may be nothing but regular files.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from membrane.errors import DataError
from membrane.files.durable import TEMPORARY, opened_folder
from membrane.files.regular import LINK, irregular
from membrane.runs.saved import PROVENANCE

PRUNE = "PRUNE"
"""A file of this name in a run's folder asks the run to write its checkpoint and end after the epoch."""
FILES = re.compile(r"(provenance|result|FAILED)\.json|config\.yaml|(metrics|health)\.csv|run\.log|PRUNE")
FOLDERS = {
    "checkpoints": re.compile(r"(best|last|previous|damaged)\.ckpt(\.sha256)?"),
    "figures": re.compile(r"(learning_curves|confusion_matrix|predicted_against_true|firing_rates|raster)\.png"),
    "outputs": re.compile(r"test\.npz|per_class\.csv"),
    "evaluations": re.compile(r"[0-9a-f]{12}(\.(best|last|previous|damaged))?(\.anytime)?\.json"),
}
"""Folder → the names of the files in it."""
TRACKERS = {
    "tensorboard": re.compile(r"events\.out\.tfevents\..*|hparams\.yaml"),
    "wandb": re.compile(r"(offline-)?run-\d{8}_\d{6}-\w+|latest-run|debug(-internal|-cli\.\w+)?\.log"),
}
"""Folder of a tracker's library → the names of files and folders in it."""
OUTWARD = "debug-core.log"
"""The link that W&B puts into each run's logs, to its own log in the person's cache. Nothing is written through it."""


def require_own_entries(run: Path) -> None:
    """Raise DataError if an entry of a run's folder that membrane reads or writes is a link, or no file or folder.

    Through a link that somebody has put there, another file would be read or changed.
    """
    try:
        for path in (run / name for name in names_in(run)):
            if path.name in FOLDERS or path.name in TRACKERS:
                require_own_folder(path, run)
            elif FILES.fullmatch(path.name):
                require_regular(path)
    except OSError as error:
        raise DataError(f"{error.filename or run}: {error.strerror}") from None
    except ValueError as error:  # a name with NUL or half a sign
        raise DataError(f"{run}: {error}") from None


def require_own_folder(folder: Path, run: Path) -> None:
    """Raise OSError if a folder in a run's is none, or if an entry in it that membrane reads or writes is a link."""
    with opened_folder(folder):
        pass
    if folder.name in TRACKERS:  # in which W&B itself puts links from one name to another
        return require_inward_links(folder, run)
    for name in names_in(folder):
        if FOLDERS[folder.name].fullmatch(name):
            require_regular(folder / name)
    return None


def require_regular(path: Path) -> None:
    """Raise Irregular if there is something else than a regular file."""
    if (reason := irregular(path)) is not None:
        raise reason


def require_inward_links(folder: Path, run: Path) -> None:
    """Raise DataError for a link anywhere below a folder that leads out of the run's."""
    inside = Path(os.path.realpath(run))
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.name != OUTWARD and path.is_symlink() and inside not in Path(os.path.realpath(path)).parents:
                raise DataError(f"{path}: {LINK}")


def has_contents(run: Path) -> bool:
    """Return whether anything whole lies in a run's folder that membrane has written."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return any(name in FOLDERS or name in TRACKERS or FILES.fullmatch(name) for name in names_in(run))
    return False


def remove_contents(run: Path) -> None:
    """Remove what membrane has written into a run's folder, and the folder if nothing else lies in it.

    provenance.json, by which the folder is known as a run's, goes last, and stays where other files do.
    """
    for name, names in (FOLDERS | TRACKERS).items():
        with suppress(FileNotFoundError):
            remove_written(run / name, names)
    remove_written(run, FILES, but=PROVENANCE)


def remove_temporaries(run: Path) -> None:
    """Remove the files that a process was writing in a run's folder when it was killed; the caller holds the folder.

    Evaluations are written by processes that do not hold it, and stay.
    """
    for folder, names in ((run, FILES), *((run / name, FOLDERS[name]) for name in FOLDERS if name != "evaluations")):
        with suppress(FileNotFoundError):
            remove_written(folder, names, temporary=True)


def remove_written(folder: Path, names: re.Pattern[str], but: str = "", temporary: bool = False) -> None:
    """Remove the entries of a folder that have one of the names, or only those that were not yet whole.

    The folder goes too if nothing else lies in it; ``but`` goes last, and stays where other files do.
    """
    with opened_folder(folder) as descriptor:
        for name in os.listdir(descriptor):  # noqa: PTH208 pathlib knows no descriptors
            if name != but and (TEMPORARY.fullmatch(name) if temporary else True) and written(name, names):
                remove_entry(descriptor, name)
        left = set(os.listdir(descriptor))  # noqa: PTH208
        if temporary or left - {but}:
            return
        if left:
            os.unlink(but, dir_fd=descriptor)
    folder.rmdir()


def remove_entry(folder: int, name: str) -> None:
    """Remove a file, a link or a whole folder from an open folder; no link is followed."""
    try:
        os.unlink(name, dir_fd=folder)
    except (IsADirectoryError, PermissionError):  # macOS says the latter of a folder
        shutil.rmtree(name, dir_fd=folder)


def written(name: str, names: re.Pattern[str]) -> bool:
    """Return whether a file has one of the names, or is one that was not yet whole when its process was killed."""
    temporary = TEMPORARY.fullmatch(name)
    return names.fullmatch(temporary[1] if temporary else name) is not None


def names_in(folder: Path) -> Iterator[str]:
    """Yield the names in a folder in order, none if there is no such folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted(path.name for path in folder.iterdir())

"""A run's folder: where it is (fingerprint and seed), who holds it (lock), and what lies in it."""

import os
import re
from contextlib import AbstractContextManager
from glob import escape
from pathlib import Path
from typing import Any

from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.lock import hold_lock
from membrane.runs.contents import has_contents, remove_contents, require_own_entries
from membrane.runs.fingerprint import fingerprint
from membrane.runs.location import lock_path, real_path
from membrane.runs.saved import RESULT, read_saved
from membrane.schema import Config
from membrane.schema.environment import FromEnvironment

CHECKPOINTS = ("best", "last")
"""The checkpoints of a run that are tested, the selected one first."""
FIRST = re.compile(r"\.provenance\.json(\.[0-9a-f]{16})?\.tmp")
"""The only file in the folder of a run that died while it wrote its first."""


class RunFolder:
    """The folder of one experiment and seed: the same ones always land in the same place.

    ``path`` is its real path, so that it is the same folder, with the same lock, however it was named.
    """

    def __init__(self, config: Config) -> None:
        self.fingerprint = fingerprint(config)
        self.seed = config.seed
        self.environment = config.environment
        self.debug = config.debug is not None
        self.named_outright = config.paths.run is not None
        runs = Path(config.paths.runs)
        runs = runs / ".debug" if self.debug else runs
        default = runs / config.name / self.fingerprint / f"seed{config.seed}"
        self.path = real_path(default if config.paths.run is None else Path(config.paths.run))
        expected = Path(os.path.realpath(runs), config.name, self.fingerprint, f"seed{config.seed}")
        linked = not self.named_outright and Path(os.path.realpath(default)) != expected
        self.check(f"paths.run={self.path}" if self.named_outright else str(self.path), self.named_outright or linked)

    def check(self, shown: str, anywhere: bool) -> None:
        """Raise ConfigError if a folder that lies ``anywhere``, by name or by link, holds another run or other things.

        Raises DataError if an entry of the run is a link.
        """
        file = next((each for each in self.path.parents if each.exists() and not each.is_dir()), None)
        if file is not None:
            raise ConfigError(f"{shown}: {file.name} is a file, not a folder")
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ConfigError(f"{shown} is not a folder")
        require_own_entries(self.path)
        if not anywhere:
            return
        provenance = self.read("provenance.json")
        if provenance is None:
            if any(not FIRST.fullmatch(path.name) for path in self.path.iterdir()):
                raise ConfigError(f"{shown} holds something else than a run; name an empty or a new folder")
        elif (provenance.get("fingerprint"), provenance.get("seed")) != (self.fingerprint, self.seed):
            there = f"{provenance.get('fingerprint')} seed {provenance.get('seed')}"
            raise ConfigError(f"{shown} holds run {there}, this one is {self.fingerprint} seed {self.seed}")

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a JSON file of the folder, or None if it is not there. Raises DataError if it is damaged."""
        return read_saved(self.path / name)

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        durable.write_json(self.path / name, content)

    def result(self) -> dict[str, Any] | None:
        """Return the finished run's result, or None if there is none; debug runs never have one.

        Raises DataError if it is damaged.
        """
        return None if self.debug else self.read(RESULT)

    def locked(self) -> AbstractContextManager[None]:
        """Return a context in which this process alone holds the folder. It raises Occupied if another one does."""
        return hold_lock(lock_path(self.path), str(self.path))

    def has_content(self) -> bool:
        """Return whether anything is in it that a run has written."""
        return has_contents(self.path)

    def has_checkpoint(self) -> bool:
        """Return whether a checkpoint is there to resume from."""
        return any((self.path / "checkpoints" / f"{name}.ckpt").is_file() for name in ("last", "previous"))

    def clear(self) -> bool:
        """Remove what an unfinished or a debug run wrote, and nothing else. Return whether there was anything."""
        if not self.has_content():
            return False
        remove_contents(self.path)
        return True

    def move_aside(self) -> Path:
        """Rename the folder, whole, to `<name>.<n>`, one more than the highest n there is. Return the new path."""
        n = self.count_reruns() + 1
        aside = self.path.with_name(f"{self.path.name}.{n}")
        self.path.rename(aside)
        return aside

    def count_reruns(self) -> int:
        """Return how many earlier runs of this experiment and seed were moved aside."""
        numbers = [path.suffix[1:] for path in self.path.parent.glob(f"{escape(self.path.name)}.*")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)


def failure_record(error: str, trace: str, environment: FromEnvironment) -> dict[str, Any]:
    """Return the content of FAILED.json, with what came from the environment masked."""
    return {"error": environment.hide(error), "traceback": environment.hide(trace).splitlines()}


def checkpoint_of(run_or_file: str | Path) -> Path:
    """Return the checkpoint of a run folder (the best, else the last), or the file itself if it is one.

    Raises DataError if there is none, if a finished run's best is missing, or if an entry of its folder is a link.
    """
    if "://" in str(run_or_file):
        raise DataError(f"{run_or_file}: only files on this machine can be loaded")
    path = Path(run_or_file)
    try:
        if path.is_file():
            return path.resolve()  # what a person names may be a link
    except OSError as error:  # a name that is too long, or a folder that is closed to us
        raise DataError(f"{path}: {error.strerror}") from None
    require_own_entries(path)
    selected, last = path / "checkpoints" / selected_checkpoint(path), path / "checkpoints" / "last.ckpt"
    if selected.is_file():
        return selected
    if last.is_file():
        raise DataError(f"{path}: {selected.name}, of which its test/* are, is missing; name {last} to have the last")
    raise DataError(f"{path}: neither a run folder with checkpoints nor a checkpoint")


def selected_checkpoint(run: Path) -> str:
    """Return the name of the checkpoint that a run's test/* are of: best.ckpt if it is there or was selected.

    Raises DataError if the result, which says so, is damaged.
    """
    if (run / "checkpoints" / "best.ckpt").is_file():
        return "best.ckpt"
    result = read_saved(run / RESULT)
    return "best.ckpt" if result is not None and result.get("protocol") == "val_best" else "last.ckpt"


def named_checkpoint(run: str | Path, name: str | None) -> Path:
    """Return the checkpoint ``best`` or ``last`` of a run's folder; None: the best, else the last.

    Raises ConfigError if there is none.
    """
    if name not in (None, *CHECKPOINTS):
        raise ConfigError(f"checkpoint={name}: expected {' or '.join(CHECKPOINTS)}")
    names = CHECKPOINTS if name is None else (name,)
    paths = [Path(run) / "checkpoints" / f"{each}.ckpt" for each in names]
    there = [path for path in paths if path.is_file()]
    if not there:
        lacks = f"has no {name} checkpoint" if name else "is unfinished and has no checkpoint yet"
        raise ConfigError(f"{run} {lacks}")
    return there[0]

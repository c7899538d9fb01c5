"""A run's folder: where it is (fingerprint and seed), who holds it (lock), and what lies in it."""

import json
import shutil
from contextlib import AbstractContextManager
from glob import escape
from pathlib import Path
from typing import Any

from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.lock import held
from membrane.runs.fingerprint import fingerprint
from membrane.schema import Config

PRUNE = "PRUNE"
"""A file of this name in a run's folder asks the run to write its checkpoint and end after the epoch."""
FIRST = ".provenance.json.tmp"
"""All that is in a folder where a run died before its first file was whole."""


class RunFolder:
    """The folder of one experiment and seed: the same ones always land in the same place."""

    def __init__(self, config: Config) -> None:
        self.fingerprint = fingerprint(config)
        self.seed = config.seed
        self.debug = config.debug is not None
        self.given = config.paths.run is not None
        runs = Path(config.paths.runs)
        place = (runs / ".debug" if self.debug else runs) / config.name / self.fingerprint / f"seed{config.seed}"
        self.path = Path(config.paths.run) if config.paths.run is not None else place
        self.check()

    def check(self) -> None:
        """ConfigError where a folder that was named outright holds another experiment or other things."""
        if not self.given or not self.path.exists():
            return
        if not self.path.is_dir():
            raise ConfigError(f"paths.run={self.path} is not a folder")
        known = self.read("provenance.json")
        if known is None:
            if any(path.name != FIRST for path in self.path.iterdir()):
                raise ConfigError(
                    f"paths.run={self.path} holds something else than a run; name an empty or a new folder"
                )
        elif (known.get("fingerprint"), known.get("seed")) != (self.fingerprint, self.seed):
            held = f"{known.get('fingerprint')} seed {known.get('seed')}"
            raise ConfigError(
                f"paths.run={self.path} holds run {held}, this one is {self.fingerprint} seed {self.seed}"
            )

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder, or None where it is not there. DataError where it is damaged."""
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            raise DataError(f"{self.path / name}: damaged, it is not JSON; move the folder away") from None
        return content

    def write(self, name: str, content: Any) -> None:
        """A JSON file of the folder, whole or not at all."""
        durable.write_json(self.path / name, content)

    def result(self) -> dict[str, Any] | None:
        """The finished run's result; debug runs never have one."""
        return None if self.debug else self.read("result.json")

    def held(self) -> AbstractContextManager[None]:
        """Hold the folder: one process at a time. Occupied where another does."""
        return held(self.path.parent / f".{self.path.name}.lock", str(self.path))

    def has_content(self) -> bool:
        """Whether anything is in it."""
        return self.path.exists() and any(self.path.iterdir())

    def begun(self) -> bool:
        """Whether a checkpoint is there to go on from."""
        return any((self.path / "checkpoints" / f"{name}.ckpt").is_file() for name in ("last", "previous"))

    def clear(self) -> bool:
        """Remove what an unfinished or a debug run left; whether there was anything."""
        if not self.has_content():
            return False
        for path in self.path.iterdir():  # provenance.json, by which the folder is known as a run's, goes last
            if path.name != "provenance.json":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(self.path)
        return True

    def move_aside(self) -> Path:
        """Rename the folder, whole, to `<name>.<n>`, one more than the highest n there is."""
        n = self.reruns() + 1
        aside = self.path.with_name(f"{self.path.name}.{n}")
        self.path.rename(aside)
        return aside

    def reruns(self) -> int:
        """How many earlier runs of this experiment and seed were moved aside."""
        numbers = [path.suffix[1:] for path in self.path.parent.glob(f"{escape(self.path.name)}.*")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)


def checkpoint_of(place: str | Path) -> Path:
    """The checkpoint that a run folder or a file's name means. DataError where there is none."""
    if "://" in str(place):
        raise DataError(f"{place}: only files on this machine can be loaded")
    path = Path(place)
    if path.is_file():
        return path
    for name in ("best.ckpt", "last.ckpt"):
        if (path / "checkpoints" / name).is_file():
            return path / "checkpoints" / name
    raise DataError(f"{path}: neither a run folder with checkpoints nor a checkpoint")

"""The command line: from arguments to jobs, from outcomes to an exit code.

0: a result was written or was there already; 1: a run failed; 2: the configuration was refused; 130 and 143: stopped
by Ctrl-C and SIGTERM. Nothing here imports torch before every job's configuration has been checked.
"""

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from membrane.composition import PRIMARY, Composer, Job, folder
from membrane.config import check, resolved
from membrane.errors import ConfigError, DataError
from membrane.job import RunFailed, Stopped, perform
from membrane.mistakes import one_line
from membrane.published import as_yaml, masked_override, published
from membrane.requirements import check_versions
from membrane.runs import Occupied, RunFolder
from membrane.schema import Config
from membrane.tracking.log import terminal

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with terminal(), signals():
        try:
            check_versions()
            return launch(arguments)
        except ConfigError as error:
            print(f"membrane: {error}", file=sys.stderr)
            return 2
        except (RunFailed, DataError, Occupied) as error:
            if str(error):
                print(f"membrane: {error}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            name = signal.Signals(stopped.signum).name
            print(f"membrane: stopped by {name}; start it again to run it anew", file=sys.stderr)
            return 128 + stopped.signum


@contextmanager
def signals() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise Stopped: Lightning would turn both into its own endings."""

    def stop(signum: int, frame: Any) -> None:
        raise Stopped(signum)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def launch(arguments: list[str]) -> int:
    """Help, configuration or runs."""
    known = parse(arguments)
    if known.help:
        from membrane.help import text

        print(text())
        return 0
    composer = Composer(known.config_dir)
    if known.shell_completion or known.info or known.hydra_help:
        composer.inspect([] if known.shell_completion else composer.free(known.overrides))
        try:
            hand_to_hydra(arguments, Task(), arguments)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f'{one_line(error)}; completion is switched on with eval "$(python train.py -sc install=bash)"'
            ) from None
        return 0
    overrides = composer.free(known.overrides)
    if known.cfg in ("hydra", "all"):
        return print_part(composer.whole(overrides, known.cfg), known.package)
    jobs, sweep = composer.jobs(overrides, known.multirun)
    checked = [(job, outcome(job)) for job in jobs]
    if known.cfg == "job":
        return print_config(checked[0], known.package)
    refuse(checked, sweep)
    flags = ["--multirun"] * known.multirun + ["--config-dir", known.config_dir] * (known.config_dir is not None)
    task = Task()
    hand_to_hydra([*flags, *overrides], task, arguments)
    return task.close(sweep)


def parse(arguments: list[str]) -> Namespace:
    """Hydra's arguments. ConfigError for those that membrane does not take."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        known, extra = parser.parse_known_intermixed_args(arguments)
    except Exception as error:
        raise ConfigError(f"{error}; see --help") from None
    if extra:
        raise ConfigError(f"{extra[0]}: no such option; see --help")
    if (known.package or known.resolve) and not known.cfg:
        raise ConfigError("--package and --resolve go only with --cfg; see --help")
    if known.info in ("all", "config"):
        raise ConfigError("--info shows defaults, defaults-tree, plugins or searchpath; --cfg all the configuration")
    if known.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun unpickles what it is given; start the run again with its overrides instead"
        )
    if known.config_name is not None or known.config_path is not None:
        raise ConfigError(
            f"--config-name and --config-path are fixed to conf/{PRIMARY}.yaml; add files with --config-dir"
        )
    return known


def outcome(job: Job) -> Config | ConfigError:
    """A job's configuration, or why it was refused."""
    try:
        return check(resolved(job.config))
    except ConfigError as error:
        return error


def print_config(checked: tuple[Job, Config | ConfigError], package: str | None) -> int:
    """`--cfg job`: the checked configuration, defaults included, secrets masked."""
    job, config = checked
    if isinstance(config, ConfigError):
        raise config
    return print_part(published(config, job.config), package)


def print_part(plain: Any, package: str | None) -> int:
    """A configuration, or the part of it that ``--package`` names."""
    for key in (package or "").split(".") if package not in (None, "_global_") else []:
        if not isinstance(plain, dict) or key not in plain:
            raise ConfigError(f"--package {package}: no such part of the configuration")
        plain = plain[key]
    print(as_yaml(plain).rstrip() if isinstance(plain, dict) else plain)
    return 0


def refuse(checked: list[tuple[Job, Config | ConfigError]], sweep: bool) -> None:
    """ConfigError if any job cannot run; a sweep names each one, and with ``keep_going`` goes on without them."""
    checked = [(job, buildable(config)) for job, config in checked]
    bad = [(job, config) for job, config in checked if isinstance(config, ConfigError)]
    good = [config for _, config in checked if isinstance(config, Config)]
    if not sweep and bad:
        raise bad[0][1]
    outright = [config.paths.run for config in good if config.paths.run is not None]
    if len(outright) > len(set(outright)):
        raise ConfigError(f"paths.run={outright[0]} cannot hold several runs; leave it out of a sweep")
    for job, error in bad:
        log.error("refused: %s: %s", " ".join(map(masked_override, job.overrides)), error)
    if bad and not (good and good[0].keep_going):
        raise ConfigError(f"{len(bad)} of {len(checked)} jobs refused, none started; keep_going=true starts the others")


def buildable(config: Config | ConfigError) -> Config | ConfigError:
    """A configuration of which everything can be built, or why not; what is finished already is not built."""
    if isinstance(config, ConfigError):
        return config
    try:
        if RunFolder(config).result() is None or config.rerun:
            from membrane.train import rehearse

            rehearse(config)
    except (ConfigError, DataError) as error:
        return ConfigError(str(error))
    except OSError as error:
        return ConfigError(f"{error.filename}: {error.strerror}")
    return config


class Task:
    """What Hydra calls for each job; remembers how the jobs ended."""

    def __init__(self) -> None:
        self.finished = 0
        self.failed: list[str] = []

    def __call__(self, composed: DictConfig) -> None:
        forget_sweep_file()
        try:
            config = check(resolved(composed))
            if config.keep_going:  # otherwise nothing starts unless all jobs can be built
                why_not = buildable(config)
                if isinstance(why_not, ConfigError):
                    raise why_not
            perform(config, composed)
            self.finished += 1
        except (ConfigError, DataError, Occupied, RunFailed) as error:
            self.failed.append(str(error))
            if not isinstance(error, RunFailed):
                log.error("membrane: %s", error)
        except OSError as error:  # of the folder: what happens inside a run is RunFailed
            self.failed.append(str(error))
            log.error("membrane: the run's folder cannot be used: %s: %s", error.filename, error.strerror)

    def close(self, sweep: bool) -> int:
        """The exit code of all jobs."""
        if sweep:
            log.info("sweep: %d finished, %d failed", self.finished, len(self.failed))
        return 1 if self.failed else 0


def forget_sweep_file() -> None:
    """Remove the copy of the configuration that Hydra's sweeper writes: nothing in it is masked."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode is RunMode.MULTIRUN:  # otherwise the folder is the person's own
        (Path(hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)


def hand_to_hydra(arguments: list[str], task: Task, typed: list[str]) -> None:
    """Let Hydra's own main run the jobs, its errors as exceptions, its command line ours; jobs see what was typed."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    def job(composed: DictConfig) -> None:
        sys.argv = [before[0], *typed]
        task(composed)

    before, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [before[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(folder()), config_name=PRIMARY)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None
    finally:
        sys.argv = before
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error

"""The command line: from arguments to jobs, from outcomes to an exit code.

0: a result was written or was there already; 1: a run failed; 2: the configuration was refused; 75: stopped with a
checkpoint; 130 and 143: stopped without one, by Ctrl-C and SIGTERM. Nothing here imports torch before every job's
configuration has been checked.
"""

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from membrane.cli.versions import check_versions
from membrane.config.check import check, resolved
from membrane.config.composer import PRIMARY, Composer, folder
from membrane.config.extension import extended
from membrane.config.redaction import as_yaml, published
from membrane.errors import ConfigError, DataError, RunFailed, one_line
from membrane.files.lock import Occupied
from membrane.runs.stopping import Stop, Stopped
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.sweep.folder import create_sweep_folder
from membrane.sweep.jobs import Job, jobs_of
from membrane.sweep.task import Task, rehearsed
from membrane.tracking.log import terminal

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.argv[1:] = arguments  # the command that runs and sweeps are recorded with
    stop = Stop()
    with terminal(), stop.handling_signals():
        try:
            check_versions()
            return launch(arguments, stop)
        except ConfigError as error:
            print(f"membrane: {error}", file=sys.stderr)
            return 2
        except (RunFailed, DataError, Occupied) as error:
            if str(error):
                print(f"membrane: {error}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            saved, then = ("with a checkpoint", "go on") if stopped.saved else ("without a checkpoint", "run it anew")
            print(f"membrane: stopped by {stopped.why} {saved}; start it again to {then}", file=sys.stderr)
            return stopped.code


def launch(arguments: list[str], stop: Stop) -> int:
    """Help, configuration or runs."""
    known = parse(arguments)
    if known.help:
        from membrane.cli.help import text

        print(text())
        return 0
    composer = Composer(known.config_dir)
    if known.shell_completion or known.info or known.hydra_help:
        composer.load([] if known.shell_completion else composer.free(known.overrides), RunMode.RUN)
        try:
            ask_hydra(arguments)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f'{one_line(error)}; completion is switched on with eval "$(python train.py -sc install=bash)"'
            ) from None
        return 0
    overrides = composer.free(known.overrides)
    if known.cfg in ("hydra", "all"):
        return print_part(composer.whole(overrides, known.cfg), known.package)
    jobs, sweep = jobs_of(composer, overrides, known.multirun)
    checked = [(job, outcome(job)) for job in jobs]
    if known.cfg == "job":
        return print_config(checked[0], known.package)
    good = refuse(checked, sweep)
    if sweep:  # in front of what was typed, which wins
        overrides = [f"hydra.sweep.dir={quoted(str(create_sweep_folder(arguments, good)))}", *overrides]
    task = Task(stop, known.config_dir, good)
    hand_to_hydra(composer, overrides, sweep, task)
    if sweep:
        task.tally.log_counts()
    return task.tally.exit_code()


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
        return check(extended(resolved(job.config), job.overrides))
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


def refuse(checked: list[tuple[Job, Config | ConfigError]], sweep: bool) -> list[tuple[Job, Config]]:
    """The jobs that can run. ConfigError if any cannot; a sweep names each one, and ``keep_going`` leaves them out."""
    checked = [(job, rehearsed(config)) for job, config in checked]
    bad = [(job, config) for job, config in checked if isinstance(config, ConfigError)]
    good = [(job, config) for job, config in checked if isinstance(config, Config)]
    if not sweep and bad:
        raise bad[0][1]
    outright = [config.paths.run for _, config in good if config.paths.run is not None]
    if len(outright) > len(set(outright)):
        raise ConfigError(f"paths.run={outright[0]} cannot hold several runs; leave it out of a sweep")
    for job, error in bad:
        log.error("refused: %s: %s", " ".join(map(masked_override, job.overrides)), error)
    if bad and not (good and good[0][1].keep_going):
        raise ConfigError(f"{len(bad)} of {len(checked)} jobs refused, none started; keep_going=true starts the others")
    return good


def quoted(text: str) -> str:
    """A text as Hydra reads it back, whatever is in it."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=text, quote=Quote.single).with_quotes()


def hand_to_hydra(composer: Composer, overrides: list[str], sweep: bool, task: Task) -> None:
    """Let Hydra run the jobs, from the files that the composer has read already; its errors are ConfigError."""
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    hydra = Hydra(PRIMARY, composer.loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        if sweep:
            hydra.multirun(PRIMARY, task, [*overrides, "hydra.mode=MULTIRUN"])
        else:
            hydra.run(PRIMARY, task, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None
    finally:
        GlobalHydra.instance().clear()


def ask_hydra(arguments: list[str]) -> None:
    """Let Hydra's own main complete a word or show what it knows; its errors as exceptions, its command line ours."""
    import hydra

    before, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [before[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(folder()), config_name=PRIMARY)(print)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None
    finally:
        sys.argv = before
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error

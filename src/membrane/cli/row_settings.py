"""Refusals of what is typed beside a row's ID: options that change nothing, settings that make it another row."""

from argparse import Namespace
from collections.abc import Sequence

from membrane.errors import ConfigError

INSTEAD = ("list", "quick", "redraw", "repeat")
"""Options in the place of training a row."""
OPTION_OF = {"seed": "--seeds", "protocol": "--protocol"}
"""Setting → the option that chooses it, for all runs of a row."""


def refuse_idle_options(options: Namespace) -> None:
    """Raise ConfigError if an option or a setting was typed that would change nothing."""
    instead = next((name for name in INSTEAD if getattr(options, name)), None)
    if instead is None:
        return
    for name in ("seeds", "protocol"):
        if getattr(options, name) is not None:
            hint = f"; with --quick write {name.removesuffix('s')}=…" if instead == "quick" else ""
            raise ConfigError(f"--{name} goes with training a row, not with --{instead}{hint}")
    if options.settings and instead in ("list", "redraw"):
        raise ConfigError(f"{' '.join(options.settings)}: --{instead} trains nothing and takes no settings")


def refuse_other_row(name: str, settings: Sequence[str]) -> None:
    """Raise ConfigError if a setting names another row than the one of this name."""
    for setting in settings:
        if key_of(setting) == "experiment":
            raise ConfigError(f"{setting}: the row is {name}; type the other one's ID in its place")


def refuse_several_runs(name: str, settings: Sequence[str]) -> None:
    """Raise ConfigError for a setting that leaves a row without one result for each protocol and seed."""
    refuse_swept(name, settings)
    for setting in settings:
        key, value = key_of(setting), setting.partition("=")[2]
        if key in OPTION_OF:
            raise ConfigError(f"{setting}: {OPTION_OF[key]} {value} chooses it for the row")
        if key.partition(".")[0] == "debug" and value != "null":
            raise ConfigError(f"{setting}: a debug run leaves no result to compare; --quick trains a few batches")


def refuse_swept(name: str, settings: Sequence[str]) -> None:
    """Raise ConfigError for a setting that has several values."""
    from membrane.config.composer import Composer

    for override in Composer().parse(settings):
        if override.is_sweep_override():
            line = override.input_line
            raise ConfigError(f"{line}: several values are a sweep: membrane train -m experiment={name} {line}")


def key_of(setting: str) -> str:
    """Return the key of ``key=value``, which may begin with a plus, two, or a tilde."""
    return setting.partition("=")[0].lstrip("+~")

"""List the data sets, fetch and cache them, check what is there, or remove caches."""

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from membrane.cli.answer import CommandParser, code_and_line
from membrane.cli.data_list import EXAMPLES, data_overview, data_page, data_rows, dataset_choices
from membrane.cli.versions import check_versions
from membrane.config.composer import Composer
from membrane.config.messages import nearest
from membrane.data.origins import ORIGINS
from membrane.data.store.entries import bytes_below, cached_bytes, cached_entries, cached_sets, remove_caches
from membrane.data.store.location import writable_cache
from membrane.data.store.sources import damaged_file, verify_originals
from membrane.errors import ConfigError, DataError, printable_text
from membrane.report.terminal import size_text
from membrane.schema import Config
from membrane.tracking.log import log_to_terminal

ARRAYS = "arrays"
"""The choice that is no data set but a person's own data."""

log = logging.getLogger(__name__)


def data_command(arguments: Sequence[str]) -> int:
    """Do what was asked for and return the exit code: 1 if data are missing or damaged."""
    options = data_parser().parse_args(arguments)
    names = list(dict.fromkeys(word for word in options.words if "=" not in word))
    overrides = [word for word in options.words if "=" in word]
    if options.markdown:
        print(data_page())
        return 0
    composer = Composer()
    root = data_folder(composer, overrides)
    require_known(names, root, options)
    if options.clean or options.verify or not names:
        require_paths_alone(overrides)
    with log_to_terminal():
        if options.clean:
            freed = remove_caches(root, names or None)
            print(f"{freed} bytes ({size_text(freed)}) freed" if freed else "nothing was cached")
            return 0
        if options.verify:
            return verify_data(root, names)
        if names:
            check_versions()
            return max(fetch_set(composer, name, overrides) for name in names)
    print(json.dumps(data_rows(root), indent=2) if options.json else data_overview(root))
    return 0


def data_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("data", __doc__, EXAMPLES)
    words = "data sets to fetch, or to do the following with; settings such as paths.data=DIR or timesteps=8"
    parser.add_argument("words", metavar="NAME", nargs="*", default=[], help=words)
    what = parser.add_mutually_exclusive_group()
    verify = "compare original files and caches with their digests, of all data sets by default"
    what.add_argument("--verify", action="store_true", help=verify)
    what.add_argument("--clean", action="store_true", help="remove caches, of all data sets by default")
    what.add_argument("--json", action="store_true", help="print the list for programs")
    what.add_argument("--markdown", action="store_true", help="the list as docs/data.md has it")
    return parser


def data_folder(composer: Composer, overrides: Sequence[str]) -> Path:
    """Return ``paths.data`` as it would be for a run. Raises ConfigError if an override names nothing."""
    composed = composer.compose(composer.add_or_override(overrides))
    return Path(str(OmegaConf.select(composed, "paths.data")))


def require_known(names: Sequence[str], root: Path, options: Namespace) -> None:
    """Raise ConfigError if a name is no data set. What is cached of others may be removed and compared too."""
    if word := next((word for word in options.words if word.startswith("dataset=")), None):
        raise ConfigError(f"{word}: write membrane data {word.removeprefix('dataset=')}")
    valid = [*ORIGINS, *(cached_sets(root) if options.clean or options.verify else [])]
    for name in names:
        if name == ARRAYS and name not in valid:
            raise ConfigError(f"{name}: your own data, which are nowhere to be fetched from; see membrane data")
        if name not in valid:
            raise ConfigError(f"{name}: no such data set{nearest(name, valid) or ';'} see membrane data")


def require_paths_alone(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a setting that would change nothing, as under --clean, which removes all of a data set."""
    if word := next((each for each in overrides if not each.lstrip("+").startswith("paths.")), None):
        raise ConfigError(f"{word}: settings are for fetching, membrane data NAME {word}; else paths.data=DIR alone")


def fetch_set(composer: Composer, name: str, overrides: Sequence[str]) -> int:
    """Load a data set, which downloads and caches it, say what it is or what it needs, and return the exit code."""
    try:
        config = set_configuration(composer, name, overrides)
        counts = load_set(config)
    except (ConfigError, DataError) as error:
        code, line = code_and_line(error)
        print(f"membrane: {name}: {printable_text(str(line))}", file=sys.stderr)
        return code
    print(f"{name}: {counts} samples, {cache_text(Path(config.paths.data), name)}")
    return 0


def cache_text(root: Path, name: str) -> str:
    """Return what is cached of a data set that was loaded."""
    if size := cached_bytes(root, name):
        return f"{size_text(size)} cached"
    return (
        "read as they are, nothing to cache" if writable_cache(root) else "not cached: no folder for it can be written"
    )


def set_configuration(composer: Composer, name: str, overrides: Sequence[str]) -> Config:
    """Return the configuration under which a data set is loaded, with a framework that takes its data.

    Raises ConfigError if there is none, as where it needs more settings.
    """
    from membrane.config.check import check, resolved

    frameworks = ["multistep", "multistep_tid"]
    if has_timesteps(name):
        frameworks.reverse()
    if any(word.startswith("framework=") for word in overrides):
        frameworks = [""]
    errors = []
    for framework in frameworks:
        words = [*([f"framework={framework}"] if framework else []), f"dataset={name}", *overrides]
        try:
            return check(resolved(composer.compose(composer.add_or_override(words))))
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def has_timesteps(name: str) -> bool:
    """Return whether a data set has timesteps in its data, by its file or by default."""
    choice = next(each for each in dataset_choices() if each.name == name)
    fields = choice.settings_class.model_fields if choice.settings_class else {}
    stated = choice.settings.get("timesteps_in_data")
    return bool(fields["timesteps_in_data"].default if stated is None else stated)


def load_set(config: Config) -> str:
    """Load a data set and return the numbers of samples in its parts, as ``7352 + 2947``."""
    from membrane.config.build import build

    parts = build(config.dataset, config.trust).load(Path(config.paths.data), config.timesteps)
    return " + ".join(str(len(part)) for part in parts)


def verify_data(root: Path, names: Sequence[str]) -> int:
    """Compare what is there with its digests, say so in a line each, and return the exit code."""
    verdicts = []
    for name in names or dict.fromkeys([*ORIGINS, *cached_sets(root)]):
        originals = verify_originals(root, ORIGINS[name]) if name in ORIGINS else ()
        verdicts += [
            verdict(path, wrong and str(damaged_file(path, wrong, ORIGINS[name]))) for path, wrong in originals
        ]
        verdicts += [verdict(entry, entry_line(name, entry)) for entry in cached_entries(root, name)]
    if not verdicts:
        print(f"nothing to compare in {printable_text(str(root))}: no file of which a digest is known, and no cache")
    return max(verdicts, default=0)


def entry_line(name: str, entry: Path) -> str:
    """Return one line on what is wrong with a cached entry, empty for nothing."""
    from membrane.data.store.cache import entry_damage

    wrong = entry_damage(entry)
    return f"{entry}: {wrong}; membrane data --clean {name} removes it" if wrong else ""


def verdict(path: Path, wrong: str) -> int:
    """Print that a file or an entry is right, or a line on what is ``wrong``, and return the exit code."""
    if wrong:
        print(f"membrane: {printable_text(wrong)}", file=sys.stderr)
        return 1
    print(f"{printable_text(str(path))}: right ({size_text(bytes_below(path))})")
    return 0

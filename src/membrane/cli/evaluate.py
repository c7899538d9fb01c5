"""Measure a finished run's test numbers again, or under other settings."""

import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from membrane.cli.answer import CommandParser
from membrane.cli.versions import check_versions
from membrane.config.composer import Composer
from membrane.runs.saved import read_config, read_result
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.tracking.log import log_to_terminal
from membrane.training.imports import quick_imports

log = logging.getLogger(__name__)
EXAMPLES = """\
for example:
  membrane evaluate runs/digits/e323fe92112d/seed0
  membrane evaluate runs/digits/e323fe92112d/seed0 timesteps=1,2,4"""
NOT_OF_THE_RUN = ("paths.", "trust=")
"""Overrides under which the run's own numbers must come back all the same."""


def evaluate_command(arguments: Sequence[str]) -> int:
    """Evaluate a run and return the exit code: 1 if the run's own numbers did not come back."""
    parser = CommandParser("evaluate", __doc__, EXAMPLES)
    parser.add_argument("run", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument(
        "overrides",
        metavar="setting=value",
        nargs="*",
        default=[],
        help="what to change; each of several values with commas is measured",
    )
    options = parser.parse_args(arguments)
    with log_to_terminal():
        check_versions()
        try:
            return evaluate_run(options.run, options.overrides)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("what was measured is kept") from None


def evaluate_run(run: Path, overrides: Sequence[str]) -> int:
    """Evaluate a run under every combination of the overrides' values, after all of them were checked."""
    result, config = read_result(run), read_config(run)
    configs = [(changes, changed_config(config, changes)) for changes in combinations(overrides)]
    from membrane.training.evaluation import measure_run, unequal_metrics, write_evaluation

    code = 0
    for changes, changed in configs:
        metrics, checkpoint = measure_run(run, changed)
        write_evaluation(run, result, changed, changes, metrics, checkpoint)
        print_metrics(changes, metrics)
        if all(change.startswith(NOT_OF_THE_RUN) for change in changes):
            code = max(code, print_agreement(unequal_metrics(result["metrics"], metrics)))
    return code


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Return every combination of the overrides' comma-separated values."""
    choices = []
    for override in Composer().parse(overrides) if overrides else []:
        key = override.get_key_element()
        values = (
            override.sweep_string_iterator() if override.is_sweep_override() else [override.get_value_element_as_str()]
        )
        choices.append([f"{key.lstrip('+')}={value}" for value in values])
    return [list(combination) for combination in itertools.product(*choices)]


def changed_config(saved: DictConfig, changes: Sequence[str]) -> Config:
    """Return a run's configuration with changes of values, checked; MEMBRANE_DATA says where the data are now."""
    with quick_imports():
        from membrane.training.loading import config_of

    config = OmegaConf.create(saved)
    if "MEMBRANE_DATA" in os.environ:
        OmegaConf.update(config, "paths.data", os.environ["MEMBRANE_DATA"])
    trust: list[str] = []
    for override in Composer().parse(changes) if changes else []:
        value = override.value()
        if override.key_or_group == "trust":
            trust = value if isinstance(value, list) else [value]
        else:
            OmegaConf.update(config, override.key_or_group, value, merge=False, force_add=True)
    return config_of(OmegaConf.to_container(config), trust)


def print_metrics(changes: Sequence[str], metrics: dict[str, float]) -> None:
    """Print what was measured under some changes."""
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    log.info("%s: %s", " ".join(map(masked_override, changes)) or "as it ran", numbers)


def print_agreement(different: dict[str, tuple[float | None, float]]) -> int:
    """Print which of the run's numbers did not come back, if any, and return the exit code."""
    for name, (recorded, measured) in different.items():
        log.error("%s: the run recorded %r, now %r", name, recorded, measured)
    if not different:
        log.info("the run's test numbers came back to the last digit")
    return 1 if different else 0

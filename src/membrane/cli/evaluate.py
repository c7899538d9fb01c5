"""`membrane-evaluate RUN [overrides]`: a run's test numbers again, or under other settings, from its folder alone."""

import itertools
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from membrane.cli.versions import check_versions
from membrane.config.composer import Composer
from membrane.config.redaction import published
from membrane.errors import ConfigError, DataError
from membrane.runs.saved import read_config, read_result
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.tracking.log import quiet, terminal
from membrane.training.imports import quick_imports

log = logging.getLogger(__name__)
USAGE = "usage: membrane-evaluate RUN [setting=value ...]   for example: membrane-evaluate RUN timesteps=1,2,4"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    with terminal():
        try:
            check_versions()
            return evaluate(Path(arguments[0]), arguments[1:])
        except ConfigError as error:
            print(f"membrane: {error}", file=sys.stderr)
            return 2
        except DataError as error:
            print(f"membrane: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("membrane: stopped; what was measured is kept", file=sys.stderr)
            return 130


def evaluate(run: Path, overrides: list[str]) -> int:
    """Evaluate under every combination of the overrides; 1 if the run's own numbers did not come back."""
    result, said = read_result(run), read_config(run)
    same = True
    for changes in combinations(overrides):
        config = changed(said, changes)
        metrics, checkpoint = measure(run, config)
        record(run, result, config, changes, metrics, checkpoint)
        log.info(
            "%s: %s",
            " ".join(map(masked_override, changes)) or "as it ran",
            "  ".join(f"{k} {v:.4f}" for k, v in metrics.items()),
        )
        if not [change for change in changes if not change.startswith(("paths.", "trust="))]:
            same = same and agrees(result["metrics"], metrics)
    return 0 if same else 1


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of the overrides' comma-separated values."""
    parsed = Composer().parsed(overrides) if overrides else []
    choices = []
    for override in parsed:
        key = override.get_key_element()
        values = (
            override.sweep_string_iterator() if override.is_sweep_override() else [override.get_value_element_as_str()]
        )
        choices.append([f"{key.lstrip('+')}={value}" for value in values])
    return [list(combination) for combination in itertools.product(*choices)]


def changed(said: Any, changes: Sequence[str]) -> Config:
    """The run's configuration with changes of values, checked; data is looked for where it is said to be now."""
    with quick_imports():
        from membrane.training.loading import config_of

    merged = OmegaConf.create(said)
    if "MEMBRANE_DATA" in os.environ:
        OmegaConf.update(merged, "paths.data", os.environ["MEMBRANE_DATA"])
    trust: list[str] = []
    for override in Composer().parsed(changes) if changes else []:
        if override.key_or_group == "trust":
            said_trust = override.value()
            trust = said_trust if isinstance(said_trust, list) else [said_trust]
        else:
            OmegaConf.update(merged, override.key_or_group, override.value(), merge=False, force_add=True)
    plain = OmegaConf.to_container(merged)
    return config_of(plain, trust)


def measure(run: Path, config: Config) -> tuple[dict[str, float], Path]:
    """`test/*` of the checkpoint that the run's protocol selects, under ``config``."""
    from membrane.runs.folder import checkpoint_of
    from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic
    from membrane.training.evaluation import test

    set_arithmetic(config)
    learner = build_learner(config)
    data = build_data(config, learner)
    data.setup()
    with quiet():
        tested = test(build_trainer(config, run), learner, data, checkpoint_of(run))
    return {f"test/{name}": value for name, value in tested.metrics.items()}, tested.checkpoint


def record(
    run: Path,
    result: dict[str, Any],
    config: Config,
    changes: Sequence[str],
    metrics: dict[str, float],
    checkpoint: Path,
) -> None:
    """`evaluations/<fingerprint>.json`: what was measured, under what, of which weights."""
    from membrane.files.digest import sha256
    from membrane.files.durable import write_json
    from membrane.runs.fingerprint import fingerprint

    content = {
        "what": "test",
        "overrides": [masked_override(change) for change in changes],
        "config": published(config),
        "metrics": metrics,
        "checkpoint_sha256": sha256(checkpoint),
        "parent": {"fingerprint": result["fingerprint"], "seed": result["seed"]},
    }
    write_json(run / "evaluations" / f"{fingerprint(config)}.json", content)


def agrees(recorded: dict[str, float], metrics: dict[str, float]) -> bool:
    """Whether the run's recorded test numbers came back to the last digit; one line says what did not."""
    different = [name for name, value in metrics.items() if recorded.get(name) != value]
    for name in different:
        log.error("%s: the run recorded %r, now %r", name, recorded.get(name), metrics[name])
    if not different:
        log.info("the run's test numbers came back to the last digit")
    return not different

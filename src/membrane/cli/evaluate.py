"""Measure a run or a checkpoint on the test set, again or under other settings."""

import itertools
import logging
import os
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from membrane.cli.answer import CommandParser
from membrane.cli.timestep_span import split_span
from membrane.cli.versions import check_versions
from membrane.config.composer import Composer
from membrane.config.environment import without_environment
from membrane.config.limits import require_few_jobs
from membrane.config.messages import unknown_setting
from membrane.errors import ConfigError, one_line
from membrane.report.terminal import console
from membrane.runs.contents import require_own_entries
from membrane.runs.folder import checkpoint_of, named_checkpoint, selected_checkpoint
from membrane.runs.saved import CONFIG, RESULT, read_config, read_provenance, read_saved
from membrane.schema import Config
from membrane.schema.dataset import Arrays, trained_on_test_part
from membrane.schema.secrets import masked_override
from membrane.scores import score_text
from membrane.tracking.log import log_to_terminal
from membrane.tracking.output import conceal
from membrane.training.imports import quick_imports

log = logging.getLogger(__name__)
EXAMPLES = """\
for example:
  membrane evaluate runs/digits/e323fe92112d/seed0
  membrane evaluate runs/digits/e323fe92112d/seed0 timesteps=1,2,4 readout=mean,max
  membrane evaluate runs/digits/e323fe92112d/seed0 timesteps=1..T     in one pass, with early exit
  membrane evaluate runs/digits/e323fe92112d/seed0 checkpoint=last"""
NOT_OF_THE_RUN = ("paths.", "trust=", "checkpoint=")
"""Overrides under which the run's own numbers must come back all the same."""
RUN_ELSEWHERE = ("ckpt_path", "checkpoint", "run")
"""Settings by which other templates name the run that they test."""
PARENT = ("fingerprint", "seed")


@dataclass(frozen=True)
class Subject:
    """A run, or one checkpoint file, that is evaluated.

    Arguments:
        path: what was typed.
        config: the configuration as it was saved.
        parent: fingerprint and seed of the run.
        folder: the run's folder; None for a checkpoint that lies in none, beside which nothing is written.
        result: the content of result.json; None if the run is unfinished.
    """

    path: Path
    config: DictConfig
    parent: dict[str, Any]
    folder: Path | None
    result: dict[str, Any] | None

    def dataset(self) -> dict[str, Any]:
        """Return the node of the data set that was trained on."""
        node = OmegaConf.to_container(OmegaConf.create(self.config.get("dataset") or {}))
        return {str(key): value for key, value in node.items()} if isinstance(node, dict) else {}

    def checkpoint(self, name: str | None) -> Path:
        """Return the checkpoint ``name``, by default the selected one. Raises ConfigError if there is none."""
        if name is None and (self.result is not None or self.path.is_file()):
            return checkpoint_of(self.path)
        if self.path.is_file():
            raise ConfigError(f"checkpoint={name}: {self.path} is a checkpoint already")
        return named_checkpoint(self.path, name)

    def recorded(self, checkpoint: Path) -> dict[str, float] | None:
        """Return the test numbers that the finished run recorded of a checkpoint, None if it recorded none of it."""
        if self.result is None or self.folder is None:
            return None
        prefixes = {"last.ckpt": "test_last/", selected_checkpoint(self.folder): "test/"}
        prefix = prefixes.get(checkpoint.name)
        metrics: dict[str, float] = self.result.get("metrics", {})
        named = {key: value for key, value in metrics.items() if prefix is not None and key.startswith(prefix)}
        return {f"test/{key.partition('/')[2]}": value for key, value in named.items()} or None


def evaluate_command(arguments: Sequence[str]) -> int:
    """Evaluate a run and return the exit code: 1 if the run's own numbers did not come back."""
    parser = CommandParser("evaluate", __doc__, EXAMPLES)
    parser.add_argument("run", metavar="RUN", type=Path, help="the run's folder, or a checkpoint file")
    parser.add_argument(
        "overrides",
        metavar="setting=value",
        nargs="*",
        default=[],
        help="what to change, a choice such as readout=max too; each of several values with commas is measured. "
        "checkpoint=best or last says which of the run's checkpoints",
    )
    options = parser.parse_args(arguments)
    with log_to_terminal():
        check_versions()
        try:
            return evaluate(read_subject(options.run), options.overrides)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("what was measured is kept") from None


def read_subject(path: Path) -> Subject:
    """Return what lies at a path. Raises ConfigError if it is neither a run nor a checkpoint."""
    folder = path.resolve().parent.parent if path.is_file() else path.resolve()
    if any(os.path.lexists(folder / name) for name in (CONFIG, RESULT)):  # a link or a FIFO of that name is named
        require_own_entries(folder)
        result = read_saved(folder / RESULT)
        parent = {key: (result or read_provenance(folder)).get(key) for key in PARENT}
        return Subject(path, read_config(folder), parent, folder, result)
    if not path.is_file():
        if "=" in str(path):
            key, _, run = str(path).partition("=")
            raise ConfigError(f"RUN comes first: membrane evaluate {run if key in RUN_ELSEWHERE else f'RUN {path}'}")
        if not path.exists():
            raise ConfigError(f"{path}: no such folder or file; membrane status lists the runs below runs/")
        below = sorted(config.parent for depth in ("*", "*/*") for config in path.glob(f"{depth}/{CONFIG}"))
        nearest = f"; did you mean {below[0]}?" if below else ""
        raise ConfigError(f"{path}: no finished run (no {RESULT}), nor one that has begun{nearest}")
    with quick_imports():
        from membrane.training.checkpoints import read_checkpoint
        from membrane.training.loading import unresolved
    about = read_checkpoint(path)["membrane"]
    return Subject(path, unresolved(about.get("config")), {key: about.get(key) for key in PARENT}, None, None)


def evaluate(subject: Subject, overrides: Sequence[str]) -> int:
    """Evaluate under every combination of the overrides' values, after all of them were checked."""
    composer = Composer()
    overrides, span = split_span(overrides)
    plans = [
        (changes, changed_config(composer, subject.config, changes), subject.checkpoint(chosen_checkpoint(changes)))
        for changes in combinations(composer, overrides)
    ]
    for _, config, _ in plans:
        if line := trained_on_test_part(config.dataset, subject.dataset()):
            raise ConfigError(f"{line}: that takes a run of its own")
    if span is not None:
        return evaluate_anytime(composer, subject, plans, span)
    from membrane.report.per_class import class_table, scores_of_outputs
    from membrane.training.evaluation import measure_checkpoint, unequal_metrics, unfinished_line, write_evaluation

    code = 0
    for changes, config, checkpoint in plans:
        tested, metrics = measure_checkpoint(checkpoint, config)
        if subject.result is None:
            log.warning("%s", unfinished_line(subject.path, tested))
        if subject.folder is not None:
            write_evaluation(subject.folder, subject.parent, config, changes, metrics, tested)
        print_metrics(changes, metrics)
        if len(plans) == 1 and config.dataset.task == "classification":
            console().print(class_table(scores_of_outputs(tested.outputs)))
        recorded = subject.recorded(checkpoint)
        if recorded is not None and all(change.startswith(NOT_OF_THE_RUN) for change in changes):
            code = max(code, print_agreement(unequal_metrics(recorded, metrics)))
    return code


def evaluate_anytime(
    composer: Composer, subject: Subject, plans: Sequence[tuple[list[str], Config, Path]], span: str
) -> int:
    """Evaluate at each number of timesteps of a span, and with samples that stop early. Return the exit code, 0."""
    from membrane.report.anytime import anytime_table, exit_line
    from membrane.training.anytime import measure_anytime
    from membrane.training.evaluation import unfinished_line, write_evaluation

    for changes, config, checkpoint in plans:
        others = [change for change in changes if not change.startswith("timesteps=")]
        at = lambda steps, others=others: changed_config(  # noqa: E731
            composer, subject.config, [*others, f"timesteps={steps}"]
        )
        measured = measure_anytime(checkpoint, config, at)
        if subject.result is None:
            log.warning("%s", unfinished_line(subject.path, measured.tested))
        curves = {"curve": measured.curve, "why_in_turn": measured.why_in_turn, "early_exit": measured.early_exit}
        if subject.folder is not None:
            overrides, tested = [*others, span], measured.tested
            write_evaluation(subject.folder, subject.parent, config, overrides, measured.metrics, tested, curves)
        log.info("%s:", " ".join(map(masked_override, [*others, span])))
        console().print(anytime_table(measured.curve))
        if measured.early_exit is not None:
            log.info("%s", exit_line(measured.early_exit))
    return 0


def combinations(composer: Composer, overrides: Sequence[str]) -> list[list[str]]:
    """Return every combination of the overrides' comma-separated values."""
    choices, parsed = [], composer.parse(overrides)
    require_few_jobs(parsed)
    for override in parsed:
        key = override.get_key_element()
        values = (
            override.sweep_string_iterator() if override.is_sweep_override() else [override.get_value_element_as_str()]
        )
        choices.append([f"{key.lstrip('+')}={value}" for value in values])
    return [list(combination) for combination in itertools.product(*choices)]


def chosen_checkpoint(changes: Sequence[str]) -> str | None:
    """Return which checkpoint the changes ask for, None if they do not say."""
    return next((change.partition("=")[2] for change in changes if change.startswith("checkpoint=")), None)


def changed_config(composer: Composer, saved: DictConfig, changes: Sequence[str]) -> Config:
    """Return a run's configuration with other choices and values, checked.

    MEMBRANE_DATA says where the data are now.
    """
    with quick_imports():
        from membrane.training.loading import config_of_saved

    parsed = [override for override in composer.parse(changes) if override.key_or_group != "checkpoint"]
    config = OmegaConf.create(without_environment(saved, [override.key_or_group for override in parsed]))
    if "MEMBRANE_DATA" in os.environ:
        set_value(config, "paths.data", os.environ["MEMBRANE_DATA"])
    trust: list[str] = []
    for override in sorted(parsed, key=lambda each: not composer.chooses(each)):  # choices come before their settings
        key, value = override.key_or_group, override.value()
        if key == "trust":
            trust = value if isinstance(value, list) else [value]
        elif key == "finish":
            raise ConfigError("finish=true goes with the command that began the run, which then ends it")
        elif composer.chooses(override):
            set_value(config, key, composer.choice(override))
        else:
            refuse_unknown_setting(key)
            set_value(config, key, value)
    forget_facts(config, {override.key_or_group for override in parsed})
    checked = config_of_saved(config, trust)
    conceal(checked.environment)
    return checked


def refuse_unknown_setting(key: str) -> None:
    """Raise ConfigError, with the nearest name, for a setting that neither runs nor this command have."""
    first = key.split(".")[0]
    if first not in Config.model_fields:
        raise ConfigError(unknown_setting(first, first, (*Config.model_fields, "checkpoint")))


def set_value(config: DictConfig, key: str, value: Any) -> None:
    """Set a value where it stands or would stand. Raises ConfigError if nothing can stand there."""
    try:
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    except (OmegaConfBaseException, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise ConfigError(f"{key}: no such setting in this run: {one_line(error)}") from None


def forget_facts(config: DictConfig, keys: Set[str]) -> None:
    """Remove T and the digest of the run's own arrays where the overrides' keys name another file, which says its own.

    So do other windows, and the shape. Classes and scale stay those that the model was trained with.
    """
    windows = "dataset.window" in keys
    dataset = config.get("dataset")
    if not (windows or "dataset.path" in keys) or not OmegaConf.is_dict(dataset):
        return
    if dataset.get("_target_") != Arrays.public:
        return
    if "dataset.sha256" not in keys:
        config.dataset.pop("sha256", None)
    if windows and "dataset.shape" not in keys:
        config.dataset.pop("shape", None)
    if "timesteps" not in keys and config.dataset.get("timesteps_in_data"):
        config.pop("timesteps", None)


def print_metrics(changes: Sequence[str], metrics: dict[str, float]) -> None:
    """Print what was measured under some changes."""
    numbers = "  ".join(f"{name} {score_text(name, value)}" for name, value in metrics.items())
    log.info("%s: %s", " ".join(map(masked_override, changes)) or "as it ran", numbers)


def print_agreement(different: dict[str, tuple[float, float]]) -> int:
    """Print which of the run's numbers did not come back, if any, and return the exit code."""
    for name, (recorded, measured) in different.items():
        log.error("%s: the run recorded %r, now %r", name, recorded, measured)
    if not different:
        log.info("the run's test numbers came back to the last digit")
    return 1 if different else 0

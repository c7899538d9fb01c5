"""Every file of conf/ composes and is admitted; the written list names what it says; no default is stated twice."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import check_each
from configurations import configured, shared_composer
from omegaconf import OmegaConf

from membrane.config.admission import ADMITTED, admitted_class
from membrane.config.check import check, resolved
from membrane.config.choices import Choice, choices
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.schema import GROUPS, MANY, Node
from membrane.schema.event_datasets import EVENT_DATASETS
from membrane.sweep.jobs import jobs_of
from membrane.sweep.processes import LAUNCHER, LauncherSettings, launcher_settings

CONF = Path(__file__).parents[2] / "conf"
FILES = {group: [choice.name for choice in listed] for group, listed in choices(CONF).items()}
CHOICES = {group: names for group, names in FILES.items() if group in GROUPS or group == "trainer"}
APART = ("dataset", "framework", "augmentation", "encoder")  # they depend on each other
PRESETS = {"augmentation": {"cifar_autoaugment", "cifar_standard", "specaugment"}}
"""Files of several choices together."""
FITTING = dict.fromkeys(
    ("polarity_flip", "drop_time", "drop_area", "drop_events", "event_drop", "eventmix", "time_subset"),
    ("framework=multistep_tid",),
) | {
    "sensor_rotation": ("dataset=uci_har",),
    "specaugment": ("dataset=fsdd",),
    "cifar_autoaugment": ("dataset=cifar10",),
}
"""Data for an augmentation that does not fit the default ones."""
EVENTS = ("digits_events", *(each.choice for each in EVENT_DATASETS))
NOTHING = {"augmentation": "none", "callbacks": "none", "encoder": "none", "logger": "csv", "regularizer": "none"}
NEEDS_NEURONS = {"readout": ("first_spike", "membrane"), "regularizer": ("firing_rate",)}
"""What the ANN twin has no use for."""
FILLED_IN = {
    "torch.optim.lr_scheduler.CosineAnnealingLR": {"T_max": "the run's length"},
    "torch.optim.lr_scheduler.ConstantLR": {"factor": "no change: torch's third is a warm-up of five epochs"},
    "lightning.pytorch.loggers.WandbLogger": {"project": "membrane's own: Lightning's is lightning_logs"},
}
"""Where the schema's default is not the class's, and why."""


@pytest.fixture
def composer() -> Composer:
    return shared_composer()


def node(node_class: type[Node]) -> dict[str, Any]:
    """Return a node's optional constructor arguments, with the schema's defaults."""
    return node_class.model_construct(target=node_class.public).parameters()


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_every_file_is_looked_at_here() -> None:
    files = {
        path.relative_to(CONF).as_posix() for path in CONF.rglob("*") if path.is_file() and "local" not in path.parts
    }
    choice_files = {f"{group}/{name}.yaml" for group, names in FILES.items() for name in names}
    assert files == choice_files | {"train.yaml", "hydra/launcher/processes.yaml", "hydra/sweeper/optuna.yaml"}
    assert set(FILES) <= {*GROUPS, "trainer", "experiment", "sweep", "debug"}


def test_every_file_says_in_a_line_what_it_is_for() -> None:
    files = [path for path in CONF.glob("*/**/*.yaml") if "local" not in path.parts]
    assert len(files) > sum(map(len, FILES.values()))  # conf/hydra's too
    wrong = {}
    for path in files:
        line = next(each for each in path.read_text().splitlines() if not each.startswith("# @package"))
        if not re.fullmatch(r"# \S.{8,96}\.", line):
            wrong[path.relative_to(CONF).as_posix()] = line
    assert wrong == {}


def test_a_comment_is_read_without_the_package_and_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "lif.yaml"
    path.write_text("# @package _global_\n# One line.\n#   And another.\ntau: 2.0 # trailing\n# later\n")
    assert Choice("neuron", "lif", path).comment == ["One line.", "And another."]
    assert Choice("neuron", "lif", path).purpose == "One line."
    path.write_text("tau: 2.0\n")
    assert Choice("neuron", "lif", path).purpose == ""


def test_a_group_has_one_file_for_each_choice_of_the_schema() -> None:
    named = {group: {each.choice for each in choices if each.choice} for group, (_, choices) in GROUPS.items()}
    names = {
        group: choices | ({NOTHING[group]} if group in NOTHING else set()) | PRESETS.get(group, set())
        for group, choices in named.items()
    }
    assert {group: set(CHOICES[group]) for group in GROUPS} == names


@pytest.mark.parametrize("turn", range(max(len(names) for names in CHOICES.values())))
def test_every_choice_composes_and_is_what_its_file_is_called(turn: int) -> None:
    chosen = {group: names[turn % len(names)] for group, names in CHOICES.items() if group not in APART}
    [model] = [node_class for node_class in GROUPS["model"][1] if node_class.choice == chosen["model"]]
    [neuron] = [node_class for node_class in GROUPS["neuron"][1] if node_class.choice == chosen["neuron"]]
    if (neuron.by_channel or not neuron.spiking) and not model.ann_twin:
        chosen["neuron"] = "lif"
    if neuron.steps == "online":
        chosen |= {"framework": "singlestep", **({"model": "scnn"} if model.owns_time else {})}
    if neuron.analog or not neuron.spiking:
        chosen = {group: name for group, name in chosen.items() if name not in NEEDS_NEURONS.get(group, ())}
    chosen |= {"regularizer": "none"} if chosen["trainer"] == "gpu" else {}  # it listens to what is compiled there
    chosen |= {"loss": "tet"} if chosen.get("readout") == "crossings" else {}  # one of each timestep
    spikes = chosen.get("readout") == "first_spike"
    chosen |= {"model": "smlp"} if spikes else {}
    typed = [f"{group}={name}" for group, name in chosen.items()]
    config = configured(*typed, *(["model.head_neuron=true"] if spikes else []))
    for group, name in chosen.items():
        if group == "trainer":
            continue
        if name == NOTHING.get(group):
            assert not getattr(config, group)
        elif group in MANY:
            assert [entry.name_of_choice for entry in getattr(config, group).values()] == [name]
        elif group != "surrogate" or neuron.takes_surrogate:
            assert getattr(config, group).name_of_choice == name


@pytest.mark.product
@pytest.mark.parametrize("suffix", ["", "_tid"])
@pytest.mark.parametrize("step", ["singlestep", "multistep"])
@pytest.mark.parametrize("dataset", CHOICES["dataset"])
def test_every_data_set_runs_under_the_frameworks_that_fit(tmp_path, dataset: str, step: str, suffix: str) -> None:
    framework = f"{step}{suffix}"
    assert framework in CHOICES["framework"]
    typed = (f"dataset={dataset}", f"framework={framework}")
    if dataset == "arrays":
        np.savez(tmp_path / "my.npz", x_train=np.zeros((2, 5, 1)), y_train=np.arange(2))
        typed = (*typed, f"dataset.path={tmp_path / 'my.npz'}")
    if (dataset in EVENTS) != framework.endswith("_tid"):
        other = framework.removesuffix("_tid") if framework.endswith("_tid") else f"{framework}_tid"
        with pytest.raises(ConfigError, match=f"use framework={other}( |$)"):
            configured(*typed)
        return
    config = configured(*typed)
    assert (config.dataset.name, config.dataset.name_of_choice, config.name) == (dataset, dataset, dataset)
    assert config.framework.name_of_choice == framework


@pytest.mark.parametrize("framework", ["singlestep_tid", "multistep_tid"])
def test_every_encoder_lets_static_data_run_under_the_frameworks_with_timesteps_in_the_data(framework: str) -> None:
    for encoder in CHOICES["encoder"]:
        data = ["dataset=uci_har" if encoder in ("chunks", "delta") else "dataset=digits", "timesteps=8"]
        framework = framework.removesuffix("_tid") if encoder == "none" else framework
        config = configured(f"framework={framework}", f"encoder={encoder}", *data)
        assert (config.encoder and config.encoder.name_of_choice) == (None if encoder == "none" else encoder)


@pytest.mark.parametrize(
    "path", sorted([*CONF.glob("experiment/*.yaml"), *CONF.glob("debug/*.yaml")]), ids=lambda p: p.stem
)
def test_an_experiment_or_debug_file_composes(path: Path) -> None:
    config = configured(f"{path.parent.name}={path.stem}")
    assert (config.debug is not None) == (path.parent.name == "debug")
    assert path.read_text().startswith("# @package _global_\n")


def test_the_sweep_of_seeds_composes(composer: Composer) -> None:
    def swept(*typed: str, multirun: bool = False) -> list[tuple[int, float]]:
        jobs, sweep = jobs_of(composer, composer.add_or_override(["sweep=seeds", *typed]), multirun)
        assert sweep
        configs = [check(resolved(job.config)) for job in jobs]
        return [(config.seed, config.optimizer.lr) for config in configs]

    lr = configured().optimizer.lr
    assert swept() == [(seed, lr) for seed in range(5)]
    assert swept("optimizer.lr=0.1,0.2", "seed=7,8") == [(7, 0.1), (7, 0.2), (8, 0.1), (8, 0.2)]
    assert swept("seed=3", multirun=True) == [(3, lr)]


def test_the_sweep_of_folds_has_each_fold_once(composer: Composer) -> None:
    def swept(*typed: str) -> list[tuple[str | None, int]]:
        jobs, sweep = jobs_of(composer, composer.add_or_override(["sweep=folds", *typed]), False)
        assert sweep
        configs = [check(resolved(job.config)) for job in jobs]
        return [(config.dataset.fold, config.seed) for config in configs]

    assert swept() == [(f"{k}/5", 0) for k in range(1, 6)]
    assert swept("dataset.fold=1/2,2/2", "seed=3,4") == [(f"{k}/2", seed) for k in (1, 2) for seed in (3, 4)]


def test_the_launcher_of_processes_composes(composer: Composer) -> None:
    overrides = composer.add_or_override(["hydra/launcher=processes", "hydra.launcher.n_jobs=3"])
    node = composer.shown(overrides, "hydra")["hydra"]["launcher"]
    assert node == {"_target_": LAUNCHER, "n_jobs": 3, "job_timeout": None}
    assert launcher_settings(node) == LauncherSettings(n_jobs=3)
    assert set(node) == {"_target_", *LauncherSettings.model_fields}


@pytest.mark.parametrize("name", CHOICES["augmentation"])
def test_every_augmentation_composes_and_a_preset_is_several(name: str) -> None:
    entries = configured(f"augmentation={name}", *FITTING.get(name, ())).augmentation
    assert [*entries] == [entry.name_of_choice for entry in entries.values()]
    if name in PRESETS["augmentation"]:
        assert len(entries) > 1
    else:
        assert [*entries] == ([] if name == "none" else [name])


def test_all_that_fit_and_all_callbacks_at_once() -> None:
    left_out = {"none", *FITTING, *PRESETS["augmentation"]}
    # AutoAugment comes first: it needs values from 0 to 1
    augmentations = sorted(set(CHOICES["augmentation"]) - left_out, key=lambda name: name != "autoaugment")
    callbacks = [name for name in CHOICES["callbacks"] if name != "none"]
    config = configured(f"augmentation=[{','.join(augmentations)}]", f"callbacks=[{','.join(callbacks)}]")
    assert [entry.name_of_choice for entry in config.augmentation.values()] == augmentations
    assert [entry.name_of_choice for entry in config.callbacks.values()] == callbacks


def test_a_file_states_only_what_differs_from_the_default() -> None:
    def check_file(path: Path) -> None:
        content = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(content, dict)
        group = path.parent.name
        nodes = content.values() if group in MANY else [content.get(group, content)]
        for settings in nodes if group in GROUPS else ():
            if "_target_" not in settings:
                continue
            node_class = ADMITTED[settings["_target_"]]
            fields = {field.alias or name: field for name, field in node_class.model_fields.items()}
            assert [key for key, value in settings.items() if fields[key].get_default() == value] == []

    check_each(CONF.glob("*/*.yaml"), check_file)


def test_the_schemas_defaults_are_the_classs() -> None:
    def check_target(target: str) -> None:
        node_class, filled = ADMITTED[target], FILLED_IN.get(target, {})
        signature = inspect.signature(admitted_class(target)).parameters
        theirs = {name: plain(parameter.default) for name, parameter in signature.items()}
        ours = {name: value for name, value in node(node_class).items() if name not in filled}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values()):
            assert set(ours) <= set(theirs)
        assert {name: theirs.get(name, value) for name, value in ours.items()} == ours
        required = {field.alias or name for name, field in node_class.model_fields.items() if field.is_required()}
        facts = {"_target_", "name", "shape", "classes"}
        assert required - facts <= {name for name, default in theirs.items()}

    check_each(ADMITTED, check_target)

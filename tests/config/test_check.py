"""From a composed configuration to one that can be trusted: types, sense, and objects of the classes that are named."""

import copy
from typing import Any

import pytest
from cases import check_each
from omegaconf import OmegaConf
from pydantic import ValidationError

from membrane.config.check import check, resolved
from membrane.config.redaction import published
from membrane.errors import ConfigError
from membrane.schema import Config
from membrane.schema.neuron import SpikingNeuron
from membrane.training.loading import config_of

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}
EARLY = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/loss"}
RELU = {"_target_": "torch.nn.ReLU"}
LI = {"_target_": "membrane.readout.Membrane"}
FIRST = {"_target_": "membrane.readout.FirstSpike"}
RATE = {"_target_": "membrane.regularizer.FiringRate"}
TID = {"_target_": "membrane.framework.MultiStepTID"}
EVENTS = {"_target_": "membrane.data.saccades.DigitsEvents", "name": "e", "shape": [2, 16, 16], "classes": 10}

DIABETES = {
    "_target_": "membrane.data.diabetes.Diabetes",
    "name": "d",
    "shape": [1, 10],
    "classes": 1,
    "task": "regression",
}
REGRESSION: dict[str, Any] = {
    "dataset": DIABETES,
    "loss": {"_target_": "membrane.losses.MSE"},
    "trainer.monitor": "val/loss",
}

# what is set to what → what the one line must say
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"foo": 3}, r"foo: no such setting; valid: augmentation, batch_size,"),
    ({"optimizer.lr": -1}, r"optimizer\.lr: must be greater than 0, got -1"),
    ({"optimizer.lr": None}, r"optimizer\.lr: expected a number, got None"),
    ({"optimizer.lr": ""}, r"optimizer\.lr: expected a number, got ''"),
    ({"optimizer.lr": True}, r"optimizer\.lr: expected a number, got True"),
    ({"optimizer.lr": float("inf")}, r"optimizer\.lr: must be a finite number, got inf"),
    ({"optimizer.foo": {"bar": 3}}, r"optimizer\.foo: no such setting; valid: amsgrad, betas"),
    ({"optimizer.betas": 0.9}, r"optimizer\.betas: expected a list such as \[1,2\], got 0\.9"),
    ({"optimizer.betas": [0.1]}, r"optimizer\.betas: must have at least 2 items, not 1, got \[0\.1\]"),
    ({"optimizer.betas": [0.1, "x"]}, r"optimizer\.betas\[1\]: expected a number, got 'x'"),
    ({"epochs": 2.5}, r"epochs: expected a whole number, got 2\.5"),
    ({"epochs": "3"}, r"epochs: expected a whole number, got '3'"),
    ({"epochs": 0}, r"epochs: must be greater than 0, got 0"),
    ({"seed": True}, r"seed: expected a whole number, got True"),
    ({"seed": -1}, r"seed: must be greater than or equal to 0, got -1"),
    ({"rerun": "yes"}, r"rerun: expected true or false, got 'yes'"),
    ({"rerun": 1}, r"rerun: expected true or false, got 1"),
    (
        {"protocol": "lst"},
        r"protocol: expected 'val_best', 'last' or 'paper_best_on_test', got 'lst'; did you mean last\?",
    ),
    ({"name": 2024}, r"name: expected text, got 2024; quote it: name='\"2024\"'"),
    (
        {"name": "../up"},
        r"name: expected letters, digits, '\.', '_' or '-', the first a letter or digit, got '\.\./up'",
    ),
    ({"name": ".hidden"}, r"name: expected letters"),
    ({"name": None}, r"name: expected text, got None"),
    ({"paths": 5}, r"paths: expected settings by name \(data, runs, run\), got 5"),
    ({"paths.dta": "x"}, r"paths\.dta: no such setting; did you mean data\? valid: data, run, runs"),
    ({"trainer.progres": False}, r"trainer\.progres: no such setting; did you mean progress\? valid: accelerator"),
    ({"trainer.clip_norm": "x"}, r"trainer\.clip_norm: expected a number, got 'x'"),
    ({"trainer": None}, r"trainer: expected settings by name \(accelerator,"),
    ({"debug": {"batchs": 1}}, r"debug\.batchs: no such setting; did you mean batches\?"),
    ({"model": None}, r"model: nothing is chosen; model=… is one of smlp, scnn"),
    ({"model": 5}, r"model: expected a choice, got 5; model=… is one of smlp, scnn"),
    ({"model.units": [3]}, r"model\.units: no such setting; did you mean fc_units\? valid: "),
    ({"model.filters": 3}, r"model\.filters: expected a list such as \[1,2\], got 3"),
    ({"model.filters": [8, -1]}, r"model\.filters\[1\]: must be greater than 0, got -1"),
    ({"model.kernel_sizes": "x"}, r"model\.kernel_sizes: expected a whole number or a list such as \[1,2\], got 'x'"),
    (
        {"model.kernel_sizes": [3, "x"]},
        r"model\.kernel_sizes\[1\]: expected a whole number or a list such as \[1,2\], got 'x'",
    ),
    ({"model.kernel_sizes": [3, 3, 3]}, r"model: .*filters has 2, kernel_sizes has 3"),
    ({"model.dropouts": 2}, r"model\.dropouts: must be less than 1, got 2"),
    ({"model.dims": 3}, r"model\.dims: must be 1 or 2, got 3"),
    ({"augmentation": 5}, r"augmentation: expected named entries such as augmentation=\[flip\], got 5"),
    (
        {"augmentation": {"shift": {"pixels": 3}}},
        r"augmentation\.shift: set, but not chosen; write augmentation=\[shift\] too",
    ),
    ({"callbacks": {"e": {**EARLY, "patence": 3}}}, r"callbacks\.e\.patence: no such setting; did you mean patience\?"),
    ({"trust": "my.Model"}, r"trust: expected a list of full names like \[my_package\.MyModel\], got 'my\.Model'"),
]
# what cannot run together, and the way out
NONSENSE: list[tuple[dict[str, Any], str]] = [
    (
        {"framework": TID},
        r"dataset digits has no timesteps in its data, framework=multistep_tid .* use framework=multistep",
    ),
    ({"dataset": {**EVENTS, "timesteps_in_data": True}}, r"dataset e has timesteps .* use framework=multistep_tid$"),
    ({"model.dims": 1}, r"model\.dims=1 but dataset digits is 2-D \(shape \[1, 8, 8\]\): leave model\.dims out"),
    ({"neuron.tau": 1}, r"neuron\.tau: must be greater than 1, got 1"),
    ({"neuron.tau": 1.0}, r"neuron\.tau: must be greater than 1, got 1\.0"),
    ({"neuron.tau": 0.5}, r"neuron\.tau: must be greater than 1, got 0\.5"),
    ({"neuron.v_reset": False}, r"neuron\.v_reset: expected a number, got False"),
    ({"neuron.v_reset": 1}, r"neuron\.v_reset=1\.0 must lie below neuron\.v_threshold=1\.0"),
    ({"surrogate": None}, r"surrogate: a spiking neuron needs one, such as surrogate=atan"),
    ({"surrogate": "atan"}, r"surrogate: expected a choice, got 'atan'; surrogate=… is one of atan, sigmoid"),
    (
        {"surrogate": {"_target_": "Atan"}},
        r"surrogate\._target_: 'Atan' is not on membrane's list; surrogate=… is one of atan",
    ),
    ({"optimizer": {**SGD, "nesterov": True}}, r"optimizer\.nesterov=true needs optimizer\.momentum above 0"),
    *(
        ({"neuron": RELU, **changes}, rf"{choice} needs spiking neurons, neuron=relu is the ANN twin: use {way_out}$")
        for changes, choice, way_out in (
            ({"readout": LI}, "readout=membrane", "readout=mean"),
            ({"readout": FIRST, "model.head_neuron": True}, "readout=first_spike", "readout=mean"),
            ({"regularizer": RATE}, "regularizer=firing_rate", "regularizer=none"),
        )
    ),
    (
        {"readout": FIRST},
        r"readout=first_spike needs spikes at the output, model=scnn puts out .*: add model\.head_neuron=true$",
    ),
    ({"readout": {**LI, "tau": 1}}, r"readout\.tau: must be greater than 1, got 1"),
    ({"readout": {**LI, "reduce": "mean"}}, r"readout\.reduce: expected 'last', 'max' or 'softmax', got 'mean'"),
    (
        {"model.gsp": True, "model.head_neuron": True},
        r"model: gsp=true has a neuron behind its head: leave",
    ),
    ({"loss": {"_target_": "membrane.losses.TET", "lamb": 2}}, r"loss\.lamb: must be less than or equal to 1, got 2"),
    (
        {"loss": {"_target_": "membrane.losses.SpikeCount", "correct_rate": 0.1}},
        r"loss: correct_rate=0\.1 must be above incorrect_rate=0\.2$",
    ),
    ({"regularizer": {**RATE, "lower": 0.5}}, r"regularizer: lower, upper: the lower bound 0\.5 lies above .* 0\.2$"),
    (
        {"regularizer": {**RATE, "layers": {"neuron1": [0.3, 0.1]}}},
        r"regularizer: layers\.neuron1: the lower bound 0\.3 lies above the upper one 0\.1$",
    ),
    (
        {"regularizer": {**RATE, "layers": {"neuron1": [0.3]}}},
        r"regularizer\.layers: must have at least 2 items, not 1, got \[0\.3\]",
    ),
    ({"regularizer": {"lower": 0.1}}, r"regularizer: nothing is chosen; regularizer=… is one of firing_rate$"),
    (
        {"protocol": "last", "callbacks": {"e": EARLY}},
        r"callbacks: early_stop watches validation, of which protocol=last",
    ),
    (
        {"dataset": DIABETES, "loss": {"_target_": "membrane.losses.CrossEntropy"}},
        r"loss=cross_entropy is for classification, dataset d is regression: use loss=mse$",
    ),
    (
        {**REGRESSION, "trainer.monitor": "val/acc"},
        r"trainer\.monitor=val/acc: not measured in regression \(dataset d\); use one of val/loss, .*, val/corr$",
    ),
    (
        {**REGRESSION, "callbacks": {"e": {**EARLY, "monitor": "val/f1"}}},
        r"callbacks\.e\.monitor=val/f1: not measured in regression",
    ),
    (
        {**REGRESSION, "callbacks": {"e": {**EARLY, "monitor": "val/corr"}}},
        r"callbacks\.e\.mode=min would stop because val/corr rises: use callbacks\.e\.mode=max$",
    ),
    (
        {"trainer.monitor": "val/mae"},
        r"trainer\.monitor=val/mae: not measured in classification \(dataset digits\); use one of val/acc, val/loss,",
    ),
    (
        {"callbacks": {"e": {**EARLY, "monitor": "val/corr", "mode": "max"}}},
        r"callbacks\.e\.monitor=val/corr: not measured in classification",
    ),
]


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for path, value in changes.items():
        *above, last = path.split(".")
        holder = raw
        for key in above:
            holder = holder[key]
        holder[last] = value
    return raw


def test_a_mistake_is_one_line(plain: dict[str, Any]) -> None:
    def check_mistake(case: tuple[dict[str, Any], str]) -> None:
        changes, message = case
        with pytest.raises(ConfigError, match=f"^{message}") as refusal:
            check(changed(copy.deepcopy(plain), changes))
        assert "\n" not in str(refusal.value)

    check_each([*MISTAKES, *NONSENSE], check_mistake)


def test_an_int_becomes_a_float_where_one_is_meant(raw: dict[str, Any]) -> None:
    config = check(changed(raw, {"neuron.v_threshold": 2, "neuron.v_reset": -1, "neuron.tau": 3, "optimizer.lr": 1}))
    assert isinstance(config.neuron, SpikingNeuron)
    numbers = (config.neuron.v_threshold, config.neuron.v_reset, config.neuron.parameters()["tau"], config.optimizer.lr)
    assert numbers == (2.0, -1.0, 3.0, 1.0)
    assert {type(number) for number in numbers} == {float}


def test_a_null_reset_is_a_soft_one(raw: dict[str, Any]) -> None:
    assert check(changed(raw, {"neuron.v_reset": None})).neuron.parameters()["v_reset"] is None


def test_a_configuration_is_frozen(raw: dict[str, Any]) -> None:
    config = check(raw)
    for settings, name in ((config, "seed"), (config.optimizer, "lr"), (config.paths, "runs"), (config.model, "new")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, name, 1)
    config.model.parameters()["filters"].append(1)
    assert config.model.parameters()["filters"] == raw["model"]["filters"]


def test_the_ann_twin_needs_no_surrogate_and_gets_none(raw: dict[str, Any]) -> None:
    assert check(changed(raw, {"neuron": {"_target_": "torch.nn.ReLU"}})).surrogate is None
    assert check(changed(raw, {"surrogate": None})).surrogate is None


@pytest.mark.parametrize("setting", ["gsp", "head_neuron"])
def test_first_spike_reads_a_net_that_puts_out_spikes(setting: str, raw: dict[str, Any]) -> None:
    assert check(changed(raw, {"readout": FIRST, f"model.{setting}": True})).readout.name_of_choice == "first_spike"


def test_no_regularizer_may_be_chosen(raw: dict[str, Any]) -> None:
    assert check(changed(raw, {"regularizer": {}})).regularizer is None
    assert check(changed(raw, {"regularizer": None})).regularizer is None


def test_event_data_with_a_tid_framework(raw: dict[str, Any]) -> None:
    config = check(changed(raw, {"framework": TID, "dataset": {**EVENTS, "timesteps_in_data": True}}))
    assert config.framework.timesteps_in_data


def test_several_entries_of_a_group_keep_their_order_and_null_removes_one(raw: dict[str, Any]) -> None:
    shift, flip = (
        {"_target_": "membrane.augment.image.Shift", "pixels": 1},
        {"_target_": "membrane.augment.image.HorizontalFlip"},
    )
    entries = {"b": shift, "a": flip, "c": None, "again": shift}
    config = check(changed(raw, {"augmentation": entries, "callbacks": None}))
    assert list(config.augmentation) == ["b", "a", "again"]
    assert config.callbacks == {}


def test_a_configuration_that_was_saved_is_the_same_one_again(raw: dict[str, Any]) -> None:
    config = check(changed(raw, {"augmentation": {"s": {"_target_": "membrane.augment.image.Shift", "pixels": 1}}}))
    assert config_of(published(config)) == config
    without_paths = {key: value for key, value in published(config).items() if key != "paths"}
    assert config_of(without_paths).model == config.model


@pytest.mark.parametrize(
    "saved", [None, [], "x", {"model": "${nope}"}, {"name": "${oc.env:NO_SUCH}"}, {"name": object()}]
)
def test_what_came_with_a_checkpoint_is_refused_in_one_line(saved: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        config_of({**raw, **saved} if isinstance(saved, dict) else saved)
    assert "\n" not in str(refusal.value)


def test_resolved_follows_references_and_names_what_leads_nowhere(raw: dict[str, Any]) -> None:
    composed = OmegaConf.create({**raw, "name": "${dataset.name}_${seed}", "epochs": "${timesteps}"})
    assert resolved(composed)["name"] == "digits_0"
    assert resolved(composed)["epochs"] == Config.model_fields["timesteps"].default
    part = OmegaConf.create({**raw, "paths": {"data": "d"}, "name": "${paths.runs}_${trainer.devices}"})
    assert (resolved(part)["name"], resolved(part)["paths"]["data"]) == ("runs_1", "d")
    with pytest.raises(ConfigError, match=r"^name: Interpolation key 'nope' not found$"):
        resolved(OmegaConf.create({**raw, "name": "${nope}"}))
    with pytest.raises(ConfigError, match=r"^dataset: nothing is chosen"):
        resolved(OmegaConf.create({"name": "${dataset.name}", "model": raw["model"]}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trainer.monitor": "val/corr"},
        {"callbacks": {"e": {**EARLY, "monitor": "val/corr", "mode": "max"}}},
        {"protocol": "last", "trainer.monitor": "val/acc"},  # nothing is watched
    ],
)
def test_a_regression(changes: dict[str, Any], raw: dict[str, Any]) -> None:
    config = check(changed(raw, {**REGRESSION, **changes}))
    assert (config.dataset.task, config.dataset.parameters()) == ("regression", {})


@pytest.mark.parametrize(("batch_norm", "norm"), [(True, "batch"), (False, "none")])
def test_a_configuration_from_before_other_norms_is_read(batch_norm: bool, norm: str, raw: dict[str, Any]) -> None:
    raw["model"]["batch_norm"] = batch_norm
    assert check(raw).model.norm == norm

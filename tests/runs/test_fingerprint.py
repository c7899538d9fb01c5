"""The fingerprint: five that may never change, and which settings enter it."""

from collections.abc import Iterator
from typing import Any

import pytest
from configurations import shared_composer
from pydantic import Field

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.runs.fingerprint import fingerprint, hashed_settings
from membrane.schema import Config, Settings
from membrane.sweep.jobs import jobs_of

CONSTANT_EMA = "callbacks.ema._target_=lightning.pytorch.callbacks.EMAWeightAveraging"
"""What ``callbacks=ema`` meant before its decay warmed up; saved configurations still say so, and mean it."""
FIXED = {
    (): "238df87eae0d",
    ("framework=multistep_tid",): "310eeb8940e3",
    ("model=smlp", "neuron=plif", "surrogate=sigmoid", "optimizer=sgd", "scheduler=one_cycle"): "4374306a5397",
    (
        "dataset=mnist",
        "augmentation=[shift,cutout]",
        "callbacks=[ema,early_stop]",
        CONSTANT_EMA,
        "timesteps=8",
    ): "fa67e2aa5d5c",
    ("dataset=mnist", "augmentation=[shift,cutout]", "callbacks=[ema,early_stop]", "timesteps=8"): "d1faac140760",
    ("neuron=relu", "loss=mse", "readout=last", "protocol=last", "trainer.clip_norm=1"): "21b924809df0",
}
"""Command line → fingerprint, for ever: a change here orphans every run that anyone has."""
UNSHAPING = {"name", "seed", "paths", "logger", "rerun", "trust", "keep_going", "max_time", "figures", "finish"}
UNSHAPING |= {"paper"}
UNSHAPING_TRAINER = {"devices", "accelerator", "progress", "workers", "worker_timeout"}
UNSHAPING_TRAINER |= {"checkpoint_steps", "checkpoint_minutes", "profile", "health"}
SHIFT = {"_target_": "membrane.augment.image.Shift", "pixels": 1}
FLIP = {"_target_": "membrane.augment.image.HorizontalFlip"}


@pytest.fixture
def composer() -> Composer:
    return shared_composer()


def settings_in(config: Settings, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting, those in groups of several included."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in inner:
            inner_keys = (*keys, name, key) if key else (*keys, name)
            yield from settings_in(each, inner_keys) if isinstance(each, Settings) else [inner_keys]


def replaced(config: Any, keys: tuple[str, ...], value: Any) -> Any:
    """Return a copy with another value at a path, unchecked."""
    first, *rest = keys
    if isinstance(config, dict):
        return {**config, first: replaced(config[first], tuple(rest), value)}
    return config.model_copy(update={first: replaced(getattr(config, first), tuple(rest), value) if rest else value})


@pytest.mark.parametrize("typed", FIXED, ids=" ".join)
def test_fixed_fingerprints(typed: tuple[str, ...], composer: Composer) -> None:
    [job], _ = jobs_of(composer, composer.add_or_override(typed), multirun=False)
    assert fingerprint(check(resolved(job.config))) == FIXED[typed]


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({}, "212c820c7e0e"),
        ({"pool_sizes": [1, 2, 1], "num_blocks": [2, 1]}, "06932f7439f4"),
        ({"filters": [16, 16, 16]}, "65ac882f60de"),
        ({"filters": [16, 16, 16], "force_projection_with_stride": True}, "cb1c498361d9"),
        ({"force_projection_with_stride": True}, "046f4d35f099"),
    ],
)
def test_residual_networks_saved_before_they_pooled_in_every_block(
    settings: dict[str, Any], digest: str, raw: dict[str, Any]
) -> None:
    target = "membrane.models.sresnet_stride.SResNetStride"
    saved = {"_target_": target, "filters": [16, 32, 64], "strides": [1, 2, 2], **settings}
    assert fingerprint(check({**raw, "model": saved})) == digest


POOLED = ("model.pool_sizes=[1,2,1]", "model.num_blocks=[2,1]")
AS_BEFORE = ("model.pool_every_block=false", "model.force_projection_with_stride=false")


@pytest.mark.parametrize(
    ("typed", "digest"),
    [
        ((), "212c820c7e0e"),
        (("model.pool_sizes=[1,2,2]",), "bd44a7f05753"),
        ((*POOLED, *AS_BEFORE), "06932f7439f4"),
        (("model.filters=[16,16,16]",), "cb1c498361d9"),  # it projects, as it did when it was told to
        (("model.filters=[16,16,16]", *AS_BEFORE), "65ac882f60de"),
        # a network that could not be built before
        (POOLED, "new"),
        ((*POOLED, "model.filters=[16,16,16]"), "new"),
    ],
)
def test_a_residual_network_typed_now_has_the_fingerprint_of_the_same_network_before(
    typed: tuple[str, ...], digest: str, composer: Composer
) -> None:
    [job], _ = jobs_of(composer, composer.add_or_override(("model=sresnet_stride", *typed)), multirun=False)
    found = fingerprint(check(resolved(job.config)))
    assert found == digest or digest == "new"
    assert (digest == "new") == hashed_settings(check(resolved(job.config)))["model"].get("pool_every_block", False)


def test_what_shapes_the_result_changes_the_fingerprint_and_nothing_else_does(raw: dict[str, Any]) -> None:
    raw["augmentation"] = {"shift": SHIFT}
    raw["callbacks"] = {"ema": {"_target_": "lightning.pytorch.callbacks.EMAWeightAveraging"}}
    config = check(raw)
    paths = list(settings_in(config))
    assert {keys[0] for keys in paths} == set(Config.model_fields)
    assert len(paths) > 70
    for keys in paths:
        outside = keys[0] in UNSHAPING or (keys[0] == "trainer" and keys[1] in UNSHAPING_TRAINER)
        same = fingerprint(replaced(config, keys, "another value")) == fingerprint(config)
        assert same == outside, keys


def test_the_same_settings_said_otherwise_have_the_same_fingerprint(raw: dict[str, Any]) -> None:
    config = check(raw)
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in raw.items()}
    assert fingerprint(check(dict(reversed(turned.items())))) == fingerprint(config)
    spelled = {**raw, "epochs": config.epochs, "neuron": {**raw["neuron"], "tau": 2, "v_threshold": 1}}
    assert fingerprint(check(spelled)) == fingerprint(config)


def test_the_order_of_augmentations_shapes_the_result(raw: dict[str, Any]) -> None:
    there = fingerprint(check({**raw, "augmentation": {"shift": SHIFT, "flip": FLIP}}))
    back = fingerprint(check({**raw, "augmentation": {"flip": FLIP, "shift": SHIFT}}))
    assert there != back


def test_a_setting_that_came_later_enters_only_where_it_differs_from_its_default() -> None:
    class Before(Settings):
        a: int = 1

    class After(Settings):
        a: int = 1
        b: list[int] = Field(default=[2], json_schema_extra={"later": True})
        inner: Before = Field(default=Before(), json_schema_extra={"later": True})

    assert hashed_settings(After()) == hashed_settings(Before()) == {"a": 1}
    assert hashed_settings(After(b=[2], inner=Before(a=1))) == {"a": 1}
    assert hashed_settings(After(b=[3])) == {"a": 1, "b": [3]}
    assert hashed_settings(After(inner=Before(a=5))) == {"a": 1, "inner": {"a": 5}}

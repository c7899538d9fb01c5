"""What does not go with an encoder, and that none leaves a configuration as it was."""

from typing import Any

import pytest
from configurations import configured

from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint

DIGITS = ["dataset=digits", "framework=multistep_tid"]
REFUSED = [
    (
        ["encoder=rate"],
        (
            "encoder=rate gives x timesteps, framework=multistep repeats x: use framework=multistep_tid, and say "
            "dataset=digits beside it"
        ),
    ),
    (["encoder=phase", "framework=singlestep"], "use framework=singlestep_tid, and say dataset=digits beside it"),
    (
        ["encoder=rate", "framework=multistep_tid"],
        (
            "encoder=rate gives timesteps to static data, dataset digits_events has its own: use encoder=none or "
            "static data, as dataset=digits"
        ),
    ),
    (
        DIGITS,
        (
            "dataset digits has no timesteps in its data, framework=multistep_tid needs it: use framework=multistep or "
            "event data, or encoder=rate"
        ),
    ),
    (
        [*DIGITS, "encoder=rate", "augmentation=[shift,normalise]"],
        (
            "augmentation=[normalise] gives values around 0, encoder=rate takes 0 to 1: leave it out, or set "
            "encoder.bounds=[-3,3]"
        ),
    ),
    (
        ["trainer.buckets=8"],
        "trainer.buckets=8 sorts samples by their timesteps, dataset digits has none in its data: leave it out",
    ),
    (
        [*DIGITS, "encoder=rate", "trainer.buckets=8"],
        "trainer.buckets=8 sorts samples by their timesteps, dataset digits has none in its data: leave it out",
    ),
    (
        ["framework=multistep_tid", "trainer.buckets=8", "trainer.compile=true"],
        (
            "trainer.buckets=8 makes batches of many numbers of timesteps, for each of which a model is compiled anew: "
            "use trainer.compile=false"
        ),
    ),
    (
        ["framework=multistep_tid", "trainer.buckets=8", "model.norm=bntt"],
        (
            "trainer.buckets=8 makes batches of fewer timesteps than 4, model.norm=bntt has a norm for each: use "
            "model.norm=batch or tebn"
        ),
    ),
    (
        ["framework=multistep_tid", "augmentation=time_subset", "model.norm=bntt"],
        (
            "augmentation.time_subset makes batches of fewer timesteps than 4, model.norm=bntt has a norm for each: "
            "use model.norm=batch or tebn"
        ),
    ),
    (
        [*DIGITS, "encoder=latency", "timesteps=1"],
        "encoder=latency tells values apart by when they spike, which needs timesteps=2 at least",
    ),
    (
        [*DIGITS, "encoder=delta"],
        "encoder=delta encodes the changes of a signal, dataset digits is 2-D (shape [1, 8, 8]): use encoder=rate",
    ),
    (
        [*DIGITS, "encoder=chunks"],
        "encoder=chunks cuts a signal into timesteps, dataset digits is 2-D (shape [1, 8, 8]): use encoder=rate",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=chunks", "timesteps=5"],
        "encoder=chunks cuts 128 samples into timesteps=5 equal chunks: use timesteps=4 or 8",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=chunks", "encoder.window=120", "timesteps=10"],
        "dataset uci_har has 128 samples, too few for timesteps=10 windows of 120: use encoder.window=119 or less",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=chunks", "encoder.window=1", "timesteps=129"],
        "dataset uci_har has 128 samples, too few for timesteps=129 windows: use timesteps=128 or fewer",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=delta", "timesteps=5"],
        "encoder=delta cuts 128 samples into timesteps=5 equal chunks: use timesteps=4 or 8",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=delta", "timesteps=200"],
        "encoder=delta cuts 128 samples into timesteps=200 equal chunks: use timesteps=128",
    ),
    (
        [*DIGITS, "encoder=lines"],
        "encoder=lines reads the 8 rows of dataset digits one by one: use timesteps=8",
    ),
    (
        ["dataset=uci_har", "framework=multistep_tid", "encoder=lines"],
        "encoder=lines reads the lines of an image, dataset uci_har is 1-D (shape [9, 128]): use encoder=chunks",
    ),
    (
        [*DIGITS, "encoder=lines", "timesteps=8", "model=spikformer"],
        "model spikformer is for 2-D data, what it sees of dataset digits is 1-D: use model=scnn or smlp",
    ),
    (
        [*DIGITS, "encoder=rate", "encoder.bounds=[1,0]"],
        "encoder.bounds: the lower bound comes first, as [0,1], got [1.0, 0.0]",
    ),
]


@pytest.mark.parametrize(("typed", "line"), REFUSED, ids=[" ".join(typed) for typed, _ in REFUSED])
def test_what_cannot_work_is_refused_with_what_can(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(*typed)
    assert str(refused.value).endswith(line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        ["encoder=rate", "encoder.bounds=[-3,3]", "augmentation=[normalise]"],
        [
            "encoder=rate",
            "augmentation=[normalise]",
            "augmentation.normalise.mean=[0]",
            "augmentation.normalise.std=[2]",
        ],
        ["encoder=delta", "dataset=uci_har", "timesteps=128", "augmentation=[normalise]"],
        ["encoder=latency", "timesteps=2", "neuron=relu"],
        ["encoder=lines", "encoder.axis=columns", "timesteps=8", "model.dims=1"],
    ],
    ids=" ".join,
)
def test_what_works_is_taken(typed: list[str]) -> None:
    assert configured(*DIGITS, *typed).encoder is not None


def test_a_configuration_of_before_there_were_encoders_keeps_its_fingerprint(raw: dict[str, Any]) -> None:
    none = fingerprint(check(raw))
    assert raw.pop("encoder") == {}
    assert fingerprint(check(raw)) == fingerprint(configured("encoder=none")) == none


def test_an_encoder_and_each_of_its_settings_enter_the_fingerprint() -> None:
    typed = [
        ["encoder=rate"],
        ["encoder=rate", "encoder.bounds=[0,2]"],
        ["encoder=latency"],
        ["encoder=latency", "encoder.function=log"],
        ["encoder=phase"],
        ["encoder=phase", "encoder.period=4"],
    ]
    assert len({fingerprint(configured(*DIGITS, *each)) for each in typed}) == len(typed)
    assert fingerprint(configured(*DIGITS, "encoder=phase", "encoder.period=8")) == fingerprint(
        configured(*DIGITS, "encoder=phase")
    )

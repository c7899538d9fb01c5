"""The search space: what Hydra's words for it mean, in Optuna's terms and as jobs."""

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from membrane.errors import ConfigError
from membrane.sweep.search.space import CategoricalDimension, Dimension, NumericDimension, example_jobs, search_space
from membrane.sweep.search.study import optuna_distribution


def parsed(*lines: str) -> list[Any]:
    return list(OverridesParser.create().parse_overrides(list(lines)))


def space(*typed: str, params: tuple[str, ...] = ()) -> dict[str, Dimension]:
    return search_space(parsed(*params), parsed(*typed))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("[64],[128,32]", CategoricalDimension("++x.y", ("[64]", "[128,32]"))),
        ("choice(adam,sgd,adam)", CategoricalDimension("++x.y", ("adam", "sgd"))),
        ("shuffle(3,1,2)", CategoricalDimension("++x.y", ("3", "1", "2"))),
        ("range(1,10,3)", NumericDimension("++x.y", 1, 7, 3)),
        ("range(5,0,-2)", NumericDimension("++x.y", 1, 5, 2)),
        ("range(0.1,0.5,0.1)", NumericDimension("++x.y", 0.1, 0.4, 0.1)),
        ("tag(log,range(1,65))", NumericDimension("++x.y", 1, 64, 1, log=True)),
        ("interval(0,1)", NumericDimension("++x.y", 0.0, 1.0)),
        ("tag(log,interval(1e-4,1e-2))", NumericDimension("++x.y", 1e-4, 1e-2, log=True)),
        ("int(interval(1,8))", NumericDimension("++x.y", 1, 8, 1)),
    ],
)
def test_each_form_gives_its_dimension(typed: str, expected: Dimension) -> None:
    assert space(f"++x.y={typed}") == {"x.y": expected}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("x=interval(2,1)", r"x: interval\(2,1\) is empty"),
        ("x=tag(log,interval(0,1))", "x: a log interval begins above 0, not at 0"),
        ("x=tag(log,range(2,9,2))", "x: a log range is of positive whole numbers with step 1"),
        ("x=tag(log,choice(1,2))", "needs a range or an interval of numbers, not choices"),
        ("x=tag(lin,interval(0,1))", "tag 'lin' has no meaning here"),
        ("x=range(3,3)", r"range\(3,3,1\) is empty"),
        ("x=1", "nothing to search: .*write a,b,c"),
        ("seed=0,1", "seed cannot be searched"),
        ("trust=[a.B],[c.D]", "trust cannot be searched"),
        ("paths.data=a,b", "paths.data cannot be searched"),
        ("protocol=last,val_best", "protocol cannot be searched"),
        ("hydra.sweeper.n_trials=1,2", "hydra.sweeper.n_trials cannot be searched"),
    ],
)
def test_what_is_no_search_space_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        space(typed)
    assert "\n" not in str(refused.value)


def test_the_command_line_wins_over_the_parameters_of_a_file() -> None:
    params = ("++x=1,2", "++y=3,4", "++z=5,6")
    assert list(space("++x=7", "++y=8,9", params=params).values()) == [
        CategoricalDimension("++z", ("5", "6")),
        CategoricalDimension("++y", ("8", "9")),
    ]
    with pytest.raises(ConfigError, match=r"hydra.sweeper.params: x=0.1 is no search space: write a,b,c"):
        space(params=("++x=0.1",))


def test_jobs_that_show_whether_a_search_can_run_have_each_value_and_both_ends_once() -> None:
    dimensions = space("a=x,y,z", "b=interval(0,1)", "c=range(2,3)")
    assert list(example_jobs(["seed=1"], dimensions)) == [
        ["seed=1", "a=x", "b=0.0", "c=2"],
        ["seed=1", "a=y", "b=0.0", "c=2"],
        ["seed=1", "a=z", "b=0.0", "c=2"],
        ["seed=1", "a=x", "b=1.0", "c=2"],
    ]


def test_drawn_values_lie_in_the_space_and_evenly_on_its_scale() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    dimensions = space(
        "a=x,y", "b=range(1,10,3)", "c=range(0.1,0.5,0.1)", "d=tag(log,interval(1e-4,1))", "e=int(interval(1,3))"
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [
        study.ask({name: optuna_distribution(dimension) for name, dimension in dimensions.items()}).params
        for _ in range(400)
    ]
    assert {params["a"] for params in drawn} == {"x", "y"}
    assert {params["b"] for params in drawn} == {1, 4, 7}
    assert sorted({params["c"] for params in drawn}) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert {params["e"] for params in drawn} == {1, 2, 3}
    exponents = [math.log10(params["d"]) for params in drawn]
    assert min(exponents) >= -4
    assert max(exponents) <= 0
    # the mean of 400 even draws from [-4, 0] is -2, with a standard error of 4/sqrt(12·400) = 0.058: five of them
    assert abs(sum(exponents) / 400 + 2) < 0.29

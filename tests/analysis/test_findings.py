"""Lines on what a row of health.csv shows."""

import math

import pytest

from membrane.analysis.findings import findings

HEALTHY = {"epoch": 0, "silent/a": 0.5, "saturated/a": 0.5, "active/a": 0.05, "tau/a": 1.05, "threshold/a": 0.01}


def test_a_healthy_row_says_nothing() -> None:
    assert findings({**HEALTHY, "gradient/a": 1e-4, "gradient/b": 1.0, "silent_channels/a": 1.0}) == {}
    assert findings({"epoch": 0}) == {}


@pytest.mark.parametrize(
    ("row", "kind", "line"),
    [
        ({"silent/a": 0.6, "silent/b.c": 0.75}, "silent", "75 % of the neurons of b.c (and 1 more) never fire"),
        ({"saturated/a": 1.0}, "saturated", "100 % of the neurons of a always fire"),
        ({"active/a": 0.049, "active/b": 0.001}, "active", "only 0.1 % of the surrogate gradients of b (and 1 more)"),
        ({"tau/a": 1.01}, "tau", "a has learned tau=1.010"),
        ({"threshold/a": -0.5}, "threshold", "a has learned the threshold -0.5"),
        ({"gradient/a": 1e-5, "gradient/b": 0.2}, "gradient", "the gradient of a has vanished (1.0e-05 beside 2.0e-01"),
        ({"gradient/a": 0.0, "gradient/b": 0.2}, "gradient", "the gradient of a has vanished"),
        ({"gradient/a": math.inf, "gradient/b": 0.2}, "gradient", "the gradient of a is not finite"),
    ],
)
def test_each_kind_of_trouble_has_a_line(row: dict[str, float], kind: str, line: str) -> None:
    [(found, said)] = findings({**HEALTHY, **row}).items()
    assert found == kind
    assert said.startswith(line)

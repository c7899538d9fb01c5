"""How many samples the printed intervals are of."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from membrane.config.check import check
from membrane.training.results import measured_samples


@pytest.mark.parametrize(
    ("debug", "expected"),
    [
        (None, {"val": 200, "test": 500}),
        ({"batches": 2}, {"val": 128, "test": 128}),
        ({"batches": 4}, {"val": 200, "test": 256}),
    ],
)
def test_a_debug_run_measures_a_few_batches_of_each_part(
    debug: dict[str, int] | None, expected: dict[str, int], raw: dict[str, Any]
) -> None:
    config = check({**raw, "batch_size": 64, "debug": debug} if debug else {**raw, "batch_size": 64})
    parts = {"train": range(1000), "val": range(200), "test": range(500)}
    assert measured_samples(config, cast("Any", SimpleNamespace(parts=parts))) == expected

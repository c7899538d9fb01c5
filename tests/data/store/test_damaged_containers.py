"""Damaged HDF5 files and ZIP archives are refused in a line or give what they hold."""

from collections.abc import Callable

import pytest
from container_mutants import hdf5_mutant, hdf5_outcome, hdf5_sample, zip_mutant, zip_outcome, zip_sample
from event_mutants import Outcome


@pytest.mark.parametrize(
    ("sample", "mutant", "outcome", "count"),  # each of HDF5's takes a process
    [(hdf5_sample, hdf5_mutant, hdf5_outcome, 40), (zip_sample, zip_mutant, zip_outcome, 200)],
    ids=["hdf5", "zip"],
)
def test_mutants(
    sample: Callable[[], bytes], mutant: Callable[[int], bytes], outcome: Callable[..., Outcome], count: int
) -> None:
    assert outcome(sample()).refused is None
    outcomes = [outcome(mutant(number)) for number in range(count)]
    refused = {each.refused for each in outcomes if each.refused is not None}
    assert len(refused) > 10  # in many places
    assert any(each.refused is None for each in outcomes)

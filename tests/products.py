"""A pytest plugin that thins products of settings: `make test` meets every pair, `make test-all` the rest.

Put `@pytest.mark.product` on a test whose cases are the product of several axes (parametrised arguments and fixtures).
As many cases as hold every pair of values of two axes are kept; the others are marked `whole`, left out by default.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest


def pairwise(cases: Sequence[Sequence[str]]) -> set[int]:
    """Return the positions of some cases (a value for each axis) that together hold every pair that any case holds.

    Greedy, the first of equals: nearly as few as there can be, and the same on every machine.
    """
    pairs = [{*combinations(enumerate(case), min(2, len(case)))} for case in cases]
    missing = set[tuple[tuple[int, str], ...]]().union(*pairs)
    kept = set[int]()
    while missing:
        best = max(range(len(cases)), key=lambda position: len(pairs[position] & missing))
        missing -= pairs[best]
        kept.add(best)
    return kept


def products(items: Sequence[pytest.Item]) -> Iterator[list[pytest.Function]]:
    """Yield the cases of each test that is marked as a product, without those that are slow."""
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if isinstance(item, pytest.Function) and "product" in marks and "slow" not in marks:
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    yield from tests.values()


@pytest.hookimpl(tryfirst=True)  # before cases are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `whole` what a pairwise cover of its product does not need."""
    for cases in products(items):
        kept = pairwise([case.callspec._idlist for case in cases])  # an id for each parametrisation, in pytest 8 and 9
        for position, case in enumerate(cases):
            if position not in kept:
                case.add_marker("whole")

"""Products of settings are thinned so that every pair is still met, and nothing is lost between the two runs."""

from itertools import combinations, product
from math import prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from products import pairwise

pytest_plugins = ["pytester"]

INNER = """
import pytest

@pytest.fixture(params=["x", "y", "z"])
def letter(request):
    return request.param

@pytest.mark.product
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 3)])
def test_thinned(letter, number, low, high): ...

@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_left_alone(letter, number): ...

@pytest.mark.product
@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("other", [1, 2])
def test_with_slow_cases(number, other): ...
"""


def met(cases: list[tuple[str, ...]]) -> set[tuple[int, str, int, str]]:
    """Return every pair of values of two axes that the cases hold."""
    return {(a, case[a], b, case[b]) for case in cases for a, b in combinations(range(len(case)), 2)}


def whole(sizes: list[int]) -> list[tuple[str, ...]]:
    """Return the product of axes of so many values."""
    return list(product(*(map(str, range(size)) for size in sizes)))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.data())
@settings(max_examples=60)
def test_every_pair_that_any_case_holds_is_kept(sizes: list[int], data: st.DataObject) -> None:
    cases = [case for case in whole(sizes) if data.draw(st.integers(0, 3))]
    assert met([cases[position] for position in pairwise(cases)]) == met(cases)


@pytest.mark.parametrize(
    ("sizes", "most"), [([11, 7, 2, 2, 2], 84), ([11, 7, 2], 77), ([4, 3], 12), ([3, 3, 3], 11), ([9], 9)]
)
def test_few_are_kept(sizes: list[int], most: int) -> None:
    # at least as many as the two longest axes have pairs, and hardly more
    assert prod(sorted(sizes)[-2:]) <= len(pairwise(whole(sizes))) <= most


def names(result: pytest.RunResult) -> set[str]:
    """Return the ids of the tests that passed."""
    return {line.split()[0].partition("::")[2] for line in result.outlines if " PASSED " in line}


def test_the_two_runs_share_all_cases_between_them(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["products"]')
    pytester.makeini("[pytest]\nmarkers =\n    product\n    whole\n    slow\naddopts = --strict-markers")
    pytester.syspathinsert(Path(__file__).parent)
    pytester.makepyfile(INNER)
    runs = {
        marks: names(pytester.runpytest_inprocess("-v", "-m", marks))
        for marks in ("not slow", "not slow and not whole", "whole and not slow")
    }
    everything, first, rest = runs.values()
    assert first | rest == everything
    assert not first & rest
    thinned = {name for name in first if name.startswith("test_thinned")}
    assert 12 <= len(thinned) < 24
    assert {name for name in rest if not name.startswith("test_thinned")} == set()

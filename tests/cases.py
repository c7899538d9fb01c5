"""Many small checks as one test that reports every failure."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

Case = TypeVar("Case")


def check_each(cases: Iterable[Case], check: Callable[[Case], object]) -> None:
    """Check every case. Raises whatever the checks raised, together, each with a note that names its case."""
    cases, failures = list(cases), list[BaseException]()
    assert cases, "there is no case"
    for case in cases:
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:
            error.add_note(f"case {case!r}")
            failures.append(error)
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(cases)} cases", failures)

"""A list of cases in one test: all are checked, and every failure is reported."""

import pytest
from cases import check_each


def test_every_failure_is_reported_with_its_case() -> None:
    checked = []

    def check(number: int) -> None:
        checked.append(number)
        assert number != 2
        if number == 4:
            pytest.fail("four")
        if number == 5:
            raise ValueError(number)

    with pytest.raises(BaseExceptionGroup, match="3 of 6 cases") as failed:
        check_each(range(6), check)
    assert checked == list(range(6))
    assert [type(each).__name__ for each in failed.value.exceptions] == ["AssertionError", "Failed", "ValueError"]
    assert [each.__notes__[-1] for each in failed.value.exceptions] == ["case 2", "case 4", "case 5"]


def test_all_is_well_only_where_something_was_checked() -> None:
    check_each([1, 2], bool)
    with pytest.raises(AssertionError, match="no case"):
        check_each([], bool)

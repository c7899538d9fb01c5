"""The examples in the docstrings of the modules that a newcomer reads first, run as they stand there."""

import doctest
from importlib import import_module

import pytest

MODULES = ("framework", "readout", "losses", "data.samples", "data.feed.batch", "data.events.labels")


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    module = import_module(f"membrane.{name}")
    failed, attempted = doctest.testmod(module)
    assert attempted, "no example"
    assert not failed

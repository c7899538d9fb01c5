"""Configurations that tests compose, from files that each process reads once."""

from functools import cache

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.schema import Config


@cache
def shared_composer() -> Composer:
    """Return a composer of `conf/` as it is; a test that changes its files makes one of its own."""
    return Composer()


def configured(*typed: str) -> Config:
    """Return the checked configuration of a command line of one run. Raises ConfigError where it is refused."""
    composer = shared_composer()
    return check(resolved(composer.compose(composer.add_or_override(typed))))

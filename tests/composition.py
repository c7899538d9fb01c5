"""A pytest plugin by which tests compose configurations in a third of the time: there are a thousand in the suite.

All composers of `conf/` share what they have read and merged, as the jobs of one sweep do. A test that is about reading
the files asks for the fixture `read_anew`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def composed_quickly() -> Iterator[None]:
    """Share files between composers, and skip work of Hydra's that comes to nothing."""
    from hydra._internal import defaults_list

    from membrane.config.files import ConfigFiles

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ConfigFiles, "__init__", sharing(ConfigFiles.__init__))
        build = defaults_list._create_interpolation_map
        patched.setattr(defaults_list, "_create_interpolation_map", only_where_used(build))
        yield


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each composer read the files itself."""
    from membrane.config.files import ConfigFiles

    monkeypatch.setattr(ConfigFiles, "__init__", ConfigFiles.__init__.__wrapped__)  # type: ignore[attr-defined]


def sharing(initialise: Callable[..., None]) -> Callable[..., None]:
    """Return ConfigFiles' constructor, by which all that read only our own conf/ share what they keep of its files."""
    from membrane.config.composer import Composer

    own = Composer().loader

    def initialise_sharing(self: Any, search_path: Any, *arguments: Any) -> None:
        initialise(self, search_path, *arguments)
        if repr(search_path.get_path()) == repr(own.get_search_path().get_path()):
            self.repositories, self.by_files = own.repositories, own.by_files

    initialise_sharing.__wrapped__ = initialise  # type: ignore[attr-defined]
    return initialise_sharing


def only_where_used(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return Hydra 1.3.8's map of choices, built only where an entry of a defaults list refers to one: it is for these.

    Hydra builds it for each file that it composes, which is two thirds of the time that composing takes.
    """

    def build_where_used(overrides: Any, defaults: Sequence[Any], self_added: bool) -> Any:
        return build(overrides, defaults, self_added) if any(each.is_interpolation() for each in defaults) else None

    return build_where_used

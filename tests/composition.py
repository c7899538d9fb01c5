"""A pytest plugin by which tests compose configurations in a fifth of the time: there are a thousand in the suite.

All composers of `conf/` share what they have read and merged, as the jobs of one sweep do. A test that is about reading
the files asks for the fixture `read_anew`.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from copy import copy, deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import pytest


@pytest.fixture(scope="session", autouse=True)
def composed_quickly() -> Iterator[None]:
    """Share files between composers, and do once what Hydra does again with the same text, to the same end."""
    from hydra._internal import config_loader_impl, defaults_list
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from membrane.config.files import ConfigFiles

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ConfigFiles, "__init__", sharing(ConfigFiles.__init__))
        build = defaults_list._create_interpolation_map
        patched.setattr(defaults_list, "_create_interpolation_map", only_where_used(build))
        build = config_loader_impl.create_defaults_list
        patched.setattr(config_loader_impl, "create_defaults_list", once_for_the_same_choices(build))
        patched.setattr(OverridesParser, "parse_rule", parsed_once(OverridesParser.parse_rule))
        patched.setattr(OmegaConf, "load", staticmethod(loaded_once(OmegaConf.load)))
        yield


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each composer read the files itself, and follow their defaults lists."""
    from hydra._internal import config_loader_impl

    from membrane.config.files import ConfigFiles

    monkeypatch.setattr(ConfigFiles, "__init__", ConfigFiles.__init__.__wrapped__)  # type: ignore[attr-defined]
    build = config_loader_impl.create_defaults_list.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", build)


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


def once_for_the_same_choices(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return Hydra's search for the files to compose, done once for each repository and choices of groups.

    Overrides of values only travel with the list.
    """
    lists: WeakKeyDictionary[Any, dict[tuple[Any, ...], Any]] = WeakKeyDictionary()

    def build_once(repo: Any, config_name: Any, overrides_list: Sequence[Any], **how: bool) -> Any:
        single = [each for each in overrides_list if not each.is_sweep_override()]
        values = [each for each in single if not repo.group_exists(each.key_or_group) or isinstance(each.value(), dict)]
        choices = [each.input_line for each in single if each not in values]
        key = (config_name, *choices, *how.items())
        of_repository = lists.setdefault(getattr(repo, "delegate", repo), {})
        if key not in of_repository:
            of_repository[key] = build(repo, config_name, overrides_list, **how)
        files = copy(of_repository[key])
        files.config_overrides = values
        return files

    build_once.__wrapped__ = build  # type: ignore[attr-defined]
    return build_once


def parsed_once(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Return the parser of an override's text, which reads each text once and returns copies of what it read."""
    parsed: dict[tuple[str, str], Any] = {}

    def parse_once(self: Any, text: str, rule: str) -> Any:
        if (text, rule) not in parsed:
            parsed[text, rule] = parse(self, text, rule)
        return copy(parsed[text, rule])

    return parse_once


def loaded_once(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return OmegaConf's reader of YAML, which parses each text once and returns copies."""
    loaded: dict[str, Any] = {}

    def load_once(file: Any) -> Any:
        if not isinstance(file, io.TextIOBase):
            return load(file)
        start, text = file.tell(), file.read()
        if text not in loaded:
            file.seek(start)
            loaded[text] = load(file)
        return deepcopy(loaded[text])

    return load_once

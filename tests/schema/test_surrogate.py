"""The table of surrogates: the settings of each are its constructor's."""

import inspect
from importlib import import_module

from membrane.schema.node import Trusted
from membrane.schema.surrogate import SURROGATES


def test_each_line_states_its_constructors_settings_and_defaults() -> None:
    stated, defined = {}, {}
    for node in (each for each in SURROGATES if not issubclass(each, Trusted)):
        stated[node.choice] = node.model_construct(target=node.public).parameters()
        home, _, name = node.public.rpartition(".")
        parameters = inspect.signature(getattr(import_module(home), name)).parameters
        defined[node.choice] = {name: each.default for name, each in parameters.items() if name != "spiking"}
    assert stated == defined
    assert len(stated) == 19


def test_what_has_no_line_of_settings_takes_those_that_are_set() -> None:
    further = {node.__name__: node for node in SURROGATES if issubclass(node, Trusted)}
    assert set(further) == {"MultiLevelSpikeCount", "DeterministicPass"}
    node = further["MultiLevelSpikeCount"].model_validate({"_target_": "x", "max_spike_count": 4})
    assert node.parameters() == {"max_spike_count": 4}

"""What classes say of themselves and of their arguments, as Python says it once they are imported."""

import inspect

from membrane.augment.masks import TimeMask
from membrane.config.class_texts import argument_texts, class_docstrings, class_prose, split_docstring
from membrane.data.events.event_set import CameraSet, EventSet
from membrane.data.events.framing import Framing
from membrane.data.events.layout import FrameLayout
from membrane.data.nmnist import NMNIST


def test_docstrings_are_those_of_the_class_and_its_bases() -> None:
    classes = (NMNIST, CameraSet, EventSet, Framing, FrameLayout)
    assert list(class_docstrings("membrane.data.nmnist.NMNIST")) == [inspect.getdoc(each) for each in classes]
    assert next(class_docstrings("membrane.augment.masks.TimeMask")) == inspect.getdoc(TimeMask)


def test_a_class_that_its_package_passes_on_is_found() -> None:
    assert class_prose("membrane.schema.Augmentation") == class_prose("membrane.schema.augmentation.Augmentation") != ""


def test_others_and_what_is_nowhere_say_nothing() -> None:
    for name in ("torch.nn.Linear", "membrane.nowhere.Class", "membrane.data.nmnist.Nothing", "Linear", ""):
        assert (class_prose(name), argument_texts(name)) == ("", {})


def test_arguments_are_apart_from_the_text() -> None:
    text, arguments = split_docstring(
        "Turns ``x``.\n\nMore.\n\nArguments (`Base` explains the others):\n"
        "    size: in pixels,\n        a side: 1 to 3.\n    low, high: bounds."
    )
    assert text.strip() == "Turns ``x``.\n\nMore."
    assert arguments == {"size": "in pixels, a side: 1 to 3.", "low": "bounds.", "high": "bounds."}


def test_arguments_of_bases_come_too() -> None:
    texts = argument_texts("membrane.data.ncaltech101.NCaltech101")
    assert {"partition", "backwards", "split", "refractory"} <= texts.keys()
    assert (
        texts["values"] == "`counts` of events; `binary`: 1 where there is any; `signed`: ON minus OFF, in one channel."
    )

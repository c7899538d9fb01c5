"""Configurations that name what they must not: refused in one line, nothing imported, nothing run."""

import copy
import pydoc
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cases import check_each
from commands import train

from membrane.config import admission
from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.training.loading import config_of

pytestmark = pytest.mark.usefixtures("trap")

# what is named → settings with which it would do harm: TOUCHED appears, or the victim goes
TARGETS: dict[str, dict[str, Any]] = {
    "canary.Model": {},
    "numpy.load": {"file": "poison.npy", "allow_pickle": True},
    "builtins.open": {"file": "TOUCHED", "mode": "w"},
    "builtins.eval": {"source": "open('TOUCHED', 'w')"},
    "builtins.exec": {"source": "open('TOUCHED', 'w')"},
    "builtins.__import__": {"name": "canary"},
    "builtins.setattr": {"obj": "x", "name": "y", "value": "z"},
    "io.open": {"file": "TOUCHED", "mode": "w"},
    "pathlib.Path": {"path": "TOUCHED"},
    "pathlib.Path.touch": {"self": "TOUCHED"},
    "os.system": {"command": "touch TOUCHED"},
    "os.remove": {"path": "victim/file"},
    "os.execv": {"path": "/bin/touch", "argv": ["touch", "TOUCHED"]},
    "posix.system": {"command": "touch TOUCHED"},
    "shutil.rmtree": {"path": "victim"},
    "shutil.copy": {"src": "victim/file", "dst": "TOUCHED"},
    "site.addsitedir": {"sitedir": "."},
    "multiprocessing.Process": {},
    "multiprocessing.context.Process": {},
    "subprocess.Popen": {"args": ["touch", "TOUCHED"]},
    "subprocess.run": {"args": ["touch", "TOUCHED"]},
    "pip.main": {"args": ["install", "canary"]},
    "pip._internal.cli.main.main": {"args": ["install", "canary"]},
    "tarfile.open": {"name": "TOUCHED", "mode": "w"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "canary", "source": "local"},
    "torch.load": {"f": "poison.npy", "weights_only": False},
    "torch.jit.load": {"f": "poison.npy"},
    "torch.utils.cpp_extension.load": {"name": "canary", "sources": []},
    "urllib.request.urlretrieve": {"url": "file:victim/file", "filename": "TOUCHED"},
    "importlib.import_module": {"name": "canary"},
    "ctypes.CDLL": {"name": "libc.so.6"},
    "ctypes.cdll.LoadLibrary": {"name": "libc.so.6"},
    "pickle.loads": {"data": ""},
    "yaml.unsafe_load": {"stream": "!!python/object/apply:os.system [touch TOUCHED]"},
    "code.interact": {},
    "hydra.utils.instantiate": {"config": {"_target_": "os.system", "command": "touch TOUCHED"}},
    "hydra.utils.get_method": {"path": "os.system"},
    # through our own package: what it imports is not what it offers
    "membrane.runs.contents.shutil.rmtree": {"path": "victim"},
    "membrane.x.shutil.copy": {"src": "victim/file", "dst": "TOUCHED"},
    "membrane.config.admission.importlib.import_module": {"name": "canary"},
    "membrane.cli.train.os.system": {"command": "touch TOUCHED"},
    "membrane.runs.folder.RunFolder.clear": {},
    "membrane.config.build.build": {},
    "membrane.training.loading.load": {"path": "poison.npy"},
    # look-alikes
    "membrane.models.scnn.SCNNx": {},
    "membrane.models.scnn.SCNN.__init__": {},
    "membrane.models.scnn.SCNN.forward": {},
    "membrane.models.scnn..SCNN": {},
    " membrane.models.scnn.SCNN": {},
    "membrane.models.scnn.SCNN\n": {},
    "Membrane.models.scnn.SCNN": {},
    "membrane.models.smlp.SCNN": {},
    "torch.optim.adamw.AdamW": {},
    "torch.nn.Linear": {"in_features": 1, "out_features": 1},
    "spikingjelly.activation_based.neuron.LIFNode.__init__": {},
    "spikingjelly.activation_based.neuron.os.system": {"command": "touch TOUCHED"},
    "": {},
    ".": {},
    "canary": {},
}
NOT_NAMES: list[Any] = [None, 5, 1.5, True, ["canary.Model"], {"_target_": "canary.Model"}]
TRICKS: dict[str, dict[str, Any]] = {
    "_args_": {"_args_": ["touch TOUCHED"]},
    "_partial_": {"_partial_": True},
    "_recursive_": {"_recursive_": False},
    "_convert_": {"_convert_": "all"},
    "target": {"target": "canary.Model"},
}


def one_line(refusal: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(refusal.value)
    assert message
    assert "\n" not in message.strip()
    return message


def of_command(raw: dict[str, Any]) -> Any:
    return check(raw)


def of_checkpoint(raw: dict[str, Any]) -> Any:
    return config_of({key: value for key, value in raw.items() if key != "trust"})


DOORS = pytest.mark.parametrize("door", [of_command, of_checkpoint])


@DOORS
def test_the_plain_configuration_is_admitted(door: Callable[..., Any], raw: dict[str, Any]) -> None:
    assert door(raw).model.name_of_choice == "scnn"


def test_the_trap_works(tmp_path: Path) -> None:
    """Targets that are built without a check fall into it; so do the tests here if admission lets one through."""
    for target in ("canary.Model", "os.system", "subprocess.run", "builtins.eval"):
        pydoc.locate(target)(*TARGETS[target].values())  # type: ignore[operator]
        (tmp_path / "TOUCHED").unlink()
    del sys.modules["canary"]
    pydoc.locate("membrane.runs.contents.shutil.rmtree")("victim")  # type: ignore[operator]
    assert not (tmp_path / "victim").exists()
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()


@DOORS
def test_a_name_that_is_not_on_the_list_is_refused(door: Callable[..., Any], plain: dict[str, Any]) -> None:
    def check_target(target: str) -> None:
        with pytest.raises(ConfigError, match="not on membrane's list") as refusal:
            door({**copy.deepcopy(plain), "model": {"_target_": target, **TARGETS[target]}})
        assert one_line(refusal).startswith("model._target_: ")
        with pytest.raises(ConfigError, match="not on membrane's list"):
            admission.admitted_class(target)

    check_each(TARGETS, check_target)


@DOORS
def test_a_target_that_is_no_name_is_refused(door: Callable[..., Any], plain: dict[str, Any]) -> None:
    def check_target(target: Any) -> None:
        raw = copy.deepcopy(plain)
        raw["model"]["_target_"] = target
        with pytest.raises(ConfigError, match="is not on membrane's list") as refusal:
            door(raw)
        one_line(refusal)

    check_each(NOT_NAMES, check_target)


PLACES: list[tuple[str, Any]] = [
    ("optimizer", {"_target_": "canary.Model"}),
    ("dataset", {"_target_": "canary.Model", "name": "x", "shape": [1, 8, 8], "classes": 10}),
    ("augmentation", {"shift": {"_target_": "canary.Model", "pixels": 1}}),
    ("callbacks", {"mine": {"_target_": "canary.Model"}}),
    ("callbacks", [{"_target_": "canary.Model"}]),
    ("trainer", {"accelerator": {"_target_": "canary.Model"}}),
    ("trainer", {"plugins": [{"_target_": "canary.Model"}]}),
    ("paths", {"data": {"_target_": "canary.Model"}}),
    ("name", {"_target_": "canary.Model"}),
    ("seed", [[{"deep": [{"_target_": "canary.Model"}]}]]),
    ("debug", {"_target_": "canary.Model"}),
    ("logger", {"_target_": "canary.Model", "project": "x"}),
]


@DOORS
def test_wherever_it_stands(door: Callable[..., Any], plain: dict[str, Any]) -> None:
    def check_place(case: tuple[str, Any]) -> None:
        key, value = case
        with pytest.raises(ConfigError, match=r"_target_: 'canary\.Model' is not on membrane's list") as refusal:
            door({**copy.deepcopy(plain), key: value})
        one_line(refusal)

    check_each(PLACES, check_place)


@DOORS
def test_hydras_other_keys_are_no_settings(door: Callable[..., Any], plain: dict[str, Any]) -> None:
    def check_trick(case: tuple[str, str]) -> None:
        key, trick = case
        raw = copy.deepcopy(plain)
        raw[key] |= TRICKS[trick]
        with pytest.raises(ConfigError, match=trick) as refusal:
            door(raw)
        one_line(refusal)

    keys = ("model", "optimizer", "neuron", "surrogate", "framework", "loss")
    check_each(product(keys, TRICKS), check_trick)


@DOORS
def test_nested_in_the_arguments_of_a_target_that_is_admitted(door: Callable[..., Any], raw: dict[str, Any]) -> None:
    raw["model"]["filters"] = [{"_target_": "os.system", "_args_": ["touch TOUCHED"]}]
    with pytest.raises(ConfigError, match=r"model\.filters\[0\]\._target_: 'os\.system'") as refusal:
        door(raw)
    one_line(refusal)


@DOORS
def test_an_admitted_class_in_the_wrong_group(door: Callable[..., Any], raw: dict[str, Any]) -> None:
    raw["model"] = dict(raw["optimizer"])
    with pytest.raises(ConfigError, match=r"model\._target_: torch\.optim\.AdamW is no model"):
        door(raw)


@pytest.mark.parametrize(
    ("expression", "shown", "saved"),
    [
        ("${oc.env:HOSTILE}", "***", "may not read the environment"),
        ("${oc.decode:${oc.env:HOSTILE}}", "***", "may not read the environment"),
        ("${oc.select:hostile,canary.Model}", "canary.Model", r"'canary\.Model' is not on membrane's list"),
        ("canary${oc.env:NOTHING,.Model}", "canary.Model", "may not read the environment"),
    ],
)
def test_a_name_that_an_interpolation_makes(
    expression: str,
    shown: str,
    saved: str,
    raw: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOSTILE", "canary.Model")
    assert train([f"model._target_='{expression}'"]) == 2
    assert f"'{shown}' is not on membrane's list" in capsys.readouterr().err
    raw["model"]["_target_"] = expression
    with pytest.raises(ConfigError, match=saved):
        of_checkpoint(raw)


def test_a_node_that_an_interpolation_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["""model='${oc.create:{_target_: canary.Model}}'""", "-m"]) == 2
    assert train(["""++model.filters='${oc.create:[{_target_: canary.Model}]}'"""]) == 2
    assert "model.filters[0]._target_: 'canary.Model'" in capsys.readouterr().err


def test_trust_is_a_list_of_full_names(raw: dict[str, Any]) -> None:
    def check_trust(trust: Any) -> None:
        with pytest.raises(ConfigError, match="trust: expected a list of full names"):
            check({**raw, "trust": trust})

    check_each(["canary.Model", ["canary"], [".canary.Model"], [5], {"a": "canary.Model"}, ["a b.C"]], check_trust)


def test_trust_admits_a_name_not_what_lies_around_it(raw: dict[str, Any]) -> None:
    for target in ("canary.Models", "canary.Model.x", "canary", "canary.pathlib.Path"):
        raw["model"]["_target_"] = target
        with pytest.raises(ConfigError, match="not on membrane's list"):
            check({**raw, "trust": ["canary.Model"]})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--experimental-rerun", "poison.pickle"],
        ["--experimental-rerun=poison.pickle"],
        ["--experimental-re=poison.pickle"],
        ["--config-name", "evil"],
        ["--config-path", "."],
        ["-cn", "evil"],
        ["-cp", "."],
        ["model._target_=canary.Model"],
        ["+callbacks.c={_target_: canary.Model}"],
        ["+extra.node._target_=canary.Model"],
        ["-m", "model._target_=canary.Model,os.system"],
        ["-m", "seed=0,1", "optimizer._target_=canary.Model"],
        ["--cfg", "job", "model._target_=canary.Model"],
        ["trust=[canary.Other]", "model._target_=canary.Model"],
    ],
    ids=" ".join,
)
def test_the_command_line_refuses_with_2_before_hydras_main(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("membrane.cli.train.hand_to_hydra", lambda *_: pytest.fail("handed to Hydra"))
    assert train(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("membrane: ")
    assert error.count("\n") == 1

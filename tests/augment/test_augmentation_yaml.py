"""conf/augmentation: every file builds one entry, states no default, and composes as a list in the order given."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from membrane.augment.augmentation import Augmentation

FOLDER = Path(__file__).parents[2] / "conf" / "augmentation"
CHOICES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "none"])
def test_choice_builds_and_states_only_what_differs_from_the_default(choice: str) -> None:
    [(name, node)] = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{choice}.yaml")).items()
    target = node.pop("_target_")
    kind = get_class(target)
    assert name == choice
    assert f"{kind.__module__}.{kind.__qualname__}" == target
    assert isinstance(kind(**node), Augmentation)
    defaults = {key: value.default for key, value in inspect.signature(kind).parameters.items()}
    assert [key for key in node if defaults[key] == node[key]] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "none"])
def test_x_keeps_its_dtype(choice: str, dtype: torch.dtype) -> None:
    [node] = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{choice}.yaml")).values()
    augmentation = get_class(node.pop("_target_"))(**node)
    x = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    augmentation.fit([x.float()], 1.0)
    parameters = augmentation.draw(6, torch.Generator().manual_seed(1))
    out = augmentation.apply(x, parameters)
    assert (out.dtype, out.shape) == (dtype, x.shape)
    if choice != "noise":  # which draws other numbers in each dtype
        rounding = 8 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
        exact = augmentation.apply(x.float(), parameters)
        torch.testing.assert_close(out.float(), exact, rtol=rounding, atol=rounding)


def test_none_is_an_empty_mapping() -> None:
    assert OmegaConf.load(FOLDER / "none.yaml") == {}


def test_a_list_of_choices_composes_in_order(tmp_path: Path) -> None:
    (tmp_path / "top.yaml").write_text(
        f"defaults: [_self_, {{augmentation: [none]}}]\nhydra: {{searchpath: ['file://{FOLDER.parent}']}}\n"
    )
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose("top").augmentation == {}
        assert list(compose("top", ["augmentation=[shift,cutout]"]).augmentation) == ["shift", "cutout"]
        assert list(compose("top", ["augmentation=[cutout,shift]"]).augmentation) == ["cutout", "shift"]
        assert compose("top", ["augmentation=[shift]", "augmentation.shift.pixels=2"]).augmentation.shift.pixels == 2

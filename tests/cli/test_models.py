"""`membrane models` and the documentation's page: complete, true, and written without torch."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import models

from membrane.cli import models as catalogue
from membrane.cli.compatibility import FRAMEWORKS, refused_combinations
from membrane.cli.models import class_description, setting_texts
from membrane.config.choices import choices
from membrane.schema import GROUPS

CONF = Path(__file__).parents[2] / "conf"
NAMED = {group: [kind for kind in GROUPS[group][1] if kind.choice] for group in catalogue.LISTED}
CHOICES = [kind for kinds in NAMED.values() for kind in kinds]


@pytest.fixture(scope="module")
def refused() -> dict[tuple[str, str, str], str]:
    """Return every refusal by its model, neuron and framework."""
    return dict(refused_combinations())


def test_the_page_on_models_is_what_the_program_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["--markdown"]) == 0
    page = Path(__file__).parents[2] / "docs" / "models.md"
    assert page.read_text() == capsys.readouterr().out, "write it anew: membrane models --markdown > docs/models.md"


OF_THE_PERSON = ("dataset=arrays", "path")
"""The one setting that only a person can know."""


def test_every_choice_says_what_it_is_for_and_what_can_be_set(
    refused: dict[tuple[str, str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        catalogue, "refused_combinations", lambda name: [each for each in refused.items() if name in each[0]]
    )
    wrong = []
    for choice in (choice for listed in choices(CONF).values() for choice in listed):
        page, word = catalogue.full_description(choice), f"{choice.group}={choice.name}"
        comment = re.search(r"^# (?!@package)(.*)", choice.path.read_text(), re.MULTILINE)
        wrong += [] if comment and page.splitlines()[0] == f"{word}: {comment[1]}" else [f"{word}: not its comment"]
        fields = next(
            (kind.model_fields for kind in GROUPS.get(choice.group, ((), ()))[1] if kind.choice == choice.name), {}
        )
        own = [field.alias or name for name, field in fields.items() if name != "target"]
        wrong += [f"{word}: no setting {name}" for name in own if f"\n  {name} " not in page]
        lines = [line for triple, line in refused.items() if word in (f"model={triple[0]}", f"neuron={triple[1]}")]
        wrong += [f"{word}: {line}" for line in lines if line not in page]
        # every choice's file says what its class cannot know
        needed = [line.split()[0] for line in page.splitlines() if line.endswith(" needed")]
        wrong += [f"{word}: {name} without a default" for name in needed if (word, name) != OF_THE_PERSON]
    assert wrong == []


def test_the_refusals_of_one_choice_are_those_of_all_that_it_is_in(refused: dict[tuple[str, str, str], str]) -> None:
    for name in ("glif", "spikformer"):
        assert dict(refused_combinations(name)) == {each: line for each, line in refused.items() if name in each}


def test_a_choice_is_shown_with_what_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["psn"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("neuron=psn: Parallel spiking neuron")
    assert "needs all timesteps together, framework=singlestep gives them one by one" in page


@pytest.mark.parametrize("group", ["dataset", "augmentation", "encoder"])
def test_every_setting_is_described(group: str) -> None:
    for choice in (each for each in choices(CONF)[group] if each.settings_class is not None):
        described = set(setting_texts(choice.settings_class))
        prose = "\n".join(class_description(choice))
        settings = {name for name in choice.settings_class.model_fields if name != "target"}
        assert {name for name in settings - described if f"`{name}`" not in prose} == set(), choice.name


def test_a_setting_is_described_with_its_unit_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["nmnist"]) == 0
    page = capsys.readouterr().out
    assert "\n60,000 training and 10,000 test recordings of 0.3 s, frames [n,T,2,34,34], 10 classes.\n" in page
    assert re.search(r"\n  duration +int ≥ 1 or null +null\n", page)
    assert "\nduration: of a frame, in µs; frames follow each other from the first event on. None: a number" in page
    assert "\nshape: of a sample, or of a frame: [C,S] or [C,H,W]\n" in page
    assert "\nbackwards: what happens where time runs backwards" in page  # of a base
    assert models(["time_shift"]) == 0
    page = capsys.readouterr().out
    assert "\nx [N,L,…] → moved by −`steps` to `steps` whole steps of time within the valid ones.\n" in page
    assert "\nevaluate: run in validation and test too\n" in page
    assert models(["fsdd"]) == 0
    assert "explains the other settings" not in capsys.readouterr().out


def test_a_name_in_several_groups_is_shown_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [f"{group}=none" for group in ("augmentation", "callbacks", "encoder", "regularizer")]
    assert [line.split(":")[0] for line in lines if line] == named


def test_a_file_of_several_groups_shows_what_it_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["gpu"]) == 0
    page = capsys.readouterr().out
    assert "\nconf/trainer/gpu.yaml sets:\n  trainer:\n" in page
    assert page.endswith("\n  precision: auto\n")
    [compiled] = [line.split() for line in page.splitlines() if line.startswith("  compile ")]
    assert compiled == ["compile", "true|false", "true"]


def test_a_group_is_listed_with_a_line_for_each_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["readout"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "readout="
    assert sorted(line.split()[0] for line in lines) == sorted(path.stem for path in (CONF / "readout").iterdir())
    assert "  sum          The sum of the outputs over the valid timesteps." in lines


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert models([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [kind.choice for kind in CHOICES] == [line.split()[0] for line in lines if line.startswith("  ")]
    [others] = [line.removeprefix("other groups: ") for line in lines if line.startswith("other groups: ")]
    groups = {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra", "local"}
    assert {*others.split(", "), *catalogue.LISTED} == groups


def test_a_wrong_name_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["sresent"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "did you mean sresnet?" in said
    assert models(["a", "b"]) == 2
    assert models(["--help"]) == 0


def test_the_refusals_are_those_that_are_known(refused: dict[tuple[str, str, str], str]) -> None:
    # worked out from what the classes can do: GLIF and PSN have no single-step mode; the models that own time call
    # their neurons in multi-step mode, where the other PSNs forget what came before, and SLTT and OTTT have none;
    # attention has no ANN twin, and has heads where MPBN needs channels
    owners, attention = {"ms_resnet", "spikformer", "qkformer", "sdt"}, {"spikformer", "qkformer", "sdt"}
    single = [framework for framework in FRAMEWORKS if framework.startswith("single")]
    expected = {
        (model.choice, neuron.choice, framework)
        for model in NAMED["model"]
        for neuron in NAMED["neuron"]
        for framework in FRAMEWORKS
        if (neuron.choice in ("glif", "psn") and framework in single)
        or (neuron.choice in ("masked_psn", "sliding_psn") and model.choice in owners and framework in single)
        or (neuron.choice in ("sltt_lif", "ottt_lif") and (model.choice in owners or framework not in single))
        or ((neuron.choice == "relu" or neuron.by_channel) and model.choice in attention)
    }
    assert set(refused) == expected


def test_the_table_counts_them(refused: dict[tuple[str, str, str], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert models(["--table"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    head, body = [cell.strip() for cell in rows[0]][1:], rows[2:]
    assert head == [kind.choice for kind in NAMED["neuron"]]
    assert [row[0].strip() for row in body] == [kind.choice for kind in NAMED["model"]]
    pairs = {triple[:2] for triple in refused}
    for row in body:
        for neuron, cell in zip(head, row[1:], strict=True):
            assert (cell.strip() == "✓") == ((row[0].strip(), neuron) not in pairs)


def test_nothing_here_imports_torch() -> None:
    calls = "main(['models', '--table']); main(['models', 'nmnist'])"
    program = f"import sys; from membrane.cli.main import main; {calls}; sys.exit('torch' in sys.modules)"
    source = str(Path(catalogue.__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, check=False).returncode == 0

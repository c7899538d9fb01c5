"""`membrane-models` and the documentation's page: complete, true, and written without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from membrane.cli import models as catalogue
from membrane.cli.models import FRAMEWORKS, main
from membrane.schema import GROUPS

NAMED = {group: [kind for kind in GROUPS[group][1] if kind.choice] for group in catalogue.LISTED}
CHOICES = [kind for kinds in NAMED.values() for kind in kinds]


@pytest.fixture(scope="module")
def refused() -> dict[tuple[str, str, str], str]:
    """Return every refusal by its model, neuron and framework."""
    return dict(catalogue.refusals())


def test_the_page_on_models_is_what_the_program_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--markdown"]) == 0
    page = Path(__file__).parents[2] / "docs" / "models.md"
    assert page.read_text() == capsys.readouterr().out, "write it anew: membrane-models --markdown > docs/models.md"


def test_every_choice_says_what_it_is_and_what_can_be_set(
    refused: dict[tuple[str, str, str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "refusals", lambda name: [each for each in refused.items() if name in each[0]])
    wrong = []
    for kind in CHOICES:
        assert main([kind.choice]) == 0
        page = capsys.readouterr().out
        own = [field.alias or name for name, field in kind.model_fields.items() if name != "target"]
        wrong += [f"{kind.choice}: no setting {name}" for name in own if f"  {name} " not in page]
        wrong += [
            f"{kind.choice}: {line}" for triple, line in refused.items() if kind.choice in triple and line not in page
        ]
        wrong += [] if kind.__doc__ else [f"{kind.choice}: no docstring"]
        # every choice's file says what its class cannot know
        wrong += [f"{kind.choice}: a setting without a default"] if "needed" in page else []
    assert wrong == []


def test_the_refusals_of_one_choice_are_those_of_all_that_it_is_in(refused: dict[tuple[str, str, str], str]) -> None:
    for name in ("glif", "spikformer"):
        assert dict(catalogue.refusals(name)) == {each: line for each, line in refused.items() if name in each}


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [kind.choice for kind in CHOICES] == [line.split()[0] for line in lines if line.startswith("  ")]


def test_a_wrong_name_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sresent"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "did you mean sresnet?" in said
    assert main(["a", "b"]) == 2
    assert main(["--help"]) == 0


def test_the_refusals_are_those_that_are_known(refused: dict[tuple[str, str, str], str]) -> None:
    # worked out from what the classes can do: GLIF and PSN have no single-step mode; the models that own time call
    # their neurons in multi-step mode, where the other PSNs forget what came before; attention has no ANN twin
    owners, attention = {"ms_resnet", "spikformer", "qkformer", "sdt"}, {"spikformer", "qkformer", "sdt"}
    single = [framework for framework in FRAMEWORKS if framework.startswith("single")]
    expected = {
        (model.choice, neuron.choice, framework)
        for model in NAMED["model"]
        for neuron in NAMED["neuron"]
        for framework in FRAMEWORKS
        if (neuron.choice in ("glif", "psn") and framework in single)
        or (neuron.choice in ("masked_psn", "sliding_psn") and model.choice in owners and framework in single)
        or (neuron.choice == "relu" and model.choice in attention)
    }
    assert set(refused) == expected


def test_the_table_counts_them(refused: dict[tuple[str, str, str], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--table"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    head, body = [cell.strip() for cell in rows[0]][1:], rows[2:]
    assert head == [kind.choice for kind in NAMED["neuron"]]
    assert [row[0].strip() for row in body] == [kind.choice for kind in NAMED["model"]]
    pairs = {triple[:2] for triple in refused}
    for row in body:
        for neuron, cell in zip(head, row[1:], strict=True):
            assert (cell.strip() == "✓") == ((row[0].strip(), neuron) not in pairs)


def test_nothing_here_imports_torch() -> None:
    program = "import sys; from membrane.cli.models import main; main(['--table']); sys.exit('torch' in sys.modules)"
    source = str(Path(catalogue.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, check=False).returncode == 0

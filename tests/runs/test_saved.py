"""A run's saved files are read, or refused in one line that names the file."""

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from membrane.errors import ConfigError, DataError
from membrane.runs.saved import read_config, read_json, read_provenance, read_result

DAMAGED = (
    *("{", "[]", "3", "", "Infinity", "\0", "null", '"text"', "[" * 200_000, '{"metrics":' * 200_000),
    *(f'{{"metrics": {value}}}' for value in ("[]", "3", "null", '{"test/acc": "0.9"}', '{"test/acc": true}')),
    *(f'{{"metrics": {{}}, "epochs": {value}}}' for value in ("Infinity", "1.5", "-1", "true", "9" * 400, "[3]")),
    *(f'{{"metrics": {{}}, "fit_seconds": {value}}}' for value in ("NaN", "1e400", '"3"', "-1")),
    '{"metrics": {"test/acc": ' + "9" * 400 + "}}",
    '{"epochs": 2}',
    '{"metrics": {}, "ended": ["finish=true"]}',
)


def test_a_result_is_read_or_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": no finished run \(no result\.json\)$"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"metrics": {}, "epochs": 3}')
    assert read_result(tmp_path) == {"metrics": {}, "epochs": 3}
    for damaged in DAMAGED:
        (tmp_path / "result.json").write_text(damaged)
        with pytest.raises(DataError, match=r"result\.json: damaged \(.+\); move the folder away$") as refusal:
            read_result(tmp_path)
        assert "\n" not in str(refusal.value)


def test_a_configuration_is_read_unresolved_or_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"config\.yaml: no configuration can be read from it \(FileNotFoundError: No such"
    ):
        read_config(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 3\nname: ${seed}\n")
    assert OmegaConf.to_container(read_config(tmp_path)) == {"seed": 3, "name": "${seed}"}
    for damaged in ("a: [", "- 1\n", "3\n", "\0", "a: 1\na: 2\n"):
        (tmp_path / "config.yaml").write_text(damaged)
        with pytest.raises(DataError, match=r"config\.yaml: no configuration can be read from it \(\w+: (?!None)"):
            read_config(tmp_path)


def test_json_that_is_no_object_is_no_file_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[1]")
    with pytest.raises(ValueError, match="not an object"):
        read_json(tmp_path / "file.json")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "gone.json")


def test_a_provenance_is_read_or_named(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) == {}
    for damaged in ("[1]", '{"versions": []}', '{"earlier": {"a": 1}}', '{"earlier": [1]}', '{"split": 3}'):
        (tmp_path / "provenance.json").write_text(damaged)
        with pytest.raises(DataError, match=r"provenance\.json: damaged \("):
            read_provenance(tmp_path)


def test_only_a_regular_file_of_an_expected_size_is_read(tmp_path: Path) -> None:
    """A FIFO would be waited for until this test is killed."""
    (tmp_path / "secret.json").write_text('{"metrics": {}}')
    result = tmp_path / "run" / "result.json"
    result.parent.mkdir()
    for replace_by, reason in (
        (lambda: os.mkfifo(result), "FIFO"),
        (lambda: result.symlink_to(tmp_path / "secret.json"), "a link"),
        (lambda: result.symlink_to(result), "a link"),
        (lambda: result.symlink_to("/dev/zero"), "a link"),
        (lambda: result.touch() or os.truncate(result, 1 << 40), "larger than the 16 MiB"),
    ):
        replace_by()  # type: ignore[no-untyped-call]
        with pytest.raises(DataError, match=rf"result\.json: .*{reason}"):
            read_result(result.parent)
        result.unlink()
    result.mkdir()
    with pytest.raises(DataError, match=r"result\.json: .*folder"):
        read_result(result.parent)


def test_a_configuration_that_would_grow_is_refused_before_it_is_built(tmp_path: Path) -> None:
    aliases = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    merges = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
    for text, reason in (
        (aliases, "more than 20000 values"),
        (merges, "more than 20000 values"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested more than 100 levels|depth"),
        ("? " * 3000 + "a", "nested more than 100 levels|depth"),
        ("a: &a [*a]", "stands in what it names"),
        ("a: '" + "${b}" * 2000 + "'", "an interpolation of more than 4000 characters"),
        ("a: '" + "${oc.select:" * 40 + "}" * 40 + "'", "more than 30 brackets"),
        ("a: " + "x" * (1 << 20), "larger than"),
    ):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(DataError, match=reason) as refusal:
            read_config(tmp_path)
        assert "\n" not in str(refusal.value)

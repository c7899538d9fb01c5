"""A run's saved files are read, or refused in one line that names the file."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from membrane.errors import ConfigError, DataError
from membrane.runs.saved import read_config, read_json, read_result


def test_a_result_is_read_or_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": no finished run \(no result\.json\)$"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"epochs": 3}')
    assert read_result(tmp_path) == {"epochs": 3}
    for damaged in ("{", "[]", "3", ""):
        (tmp_path / "result.json").write_text(damaged)
        with pytest.raises(DataError, match=r"result\.json: damaged, it is not JSON$"):
            read_result(tmp_path)


def test_a_configuration_is_read_unresolved_or_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config\.yaml: no configuration can be read from it \(FileNotFoundError\)$"):
        read_config(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 3\nname: ${seed}\n")
    assert OmegaConf.to_container(read_config(tmp_path)) == {"seed": 3, "name": "${seed}"}
    for damaged in ("a: [", "- 1\n", "3\n"):
        (tmp_path / "config.yaml").write_text(damaged)
        with pytest.raises(DataError, match=r"config\.yaml: no configuration can be read from it"):
            read_config(tmp_path)


def test_json_that_is_no_object_is_no_file_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[1]")
    with pytest.raises(ValueError, match="not an object"):
        read_json(tmp_path / "file.json")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "gone.json")

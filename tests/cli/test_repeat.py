"""`membrane reproduce --repeat`: a recorded run trained again from its folder alone."""

import json
from pathlib import Path

import pytest
from paper_rows import row

from membrane.cli.repeat import log_code_of
from membrane.cli.reproduce import reproduce_command
from membrane.cli.train import train_command
from membrane.errors import ConfigError
from membrane.papers.record import write_record


def test_a_record_comes_back_to_the_last_digit_and_a_tampered_one_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "membrane")
    monkeypatch.chdir(tmp_path)
    settings = ["model=smlp", "epochs=1", "logger=csv", "figures=false", "trainer=cpu", "threads=1"]
    assert train_command([*settings, "paths.run=run"]) == 0
    write_record(Path("records"), row(), "val_best", 0, Path("run"))
    record = Path("records", "paper", "row", "val_best", "seed0")
    arguments = ["--repeat", str(record), "paths.runs=again"]
    assert reproduce_command(arguments) == 0
    assert "recorded under other conditions" not in caplog.text
    assert f"numbers of {record} came back to the last digit" in capsys.readouterr().out
    (again,) = Path("again").glob("digits/*/seed0")

    result = json.loads((record / "result.json").read_text())
    accuracy = result["metrics"]["test/acc"]
    result["metrics"]["test/acc"] = accuracy + 1e-12
    (record / "result.json").write_text(json.dumps(result))
    provenance = json.loads((record / "provenance.json").read_text())
    (record / "provenance.json").write_text(json.dumps({**provenance, "processor": "another"}))
    assert reproduce_command(arguments) == 1  # trained once more: what was repeated before is moved aside
    assert again.with_name("seed0.1").is_dir()
    assert "recorded under other conditions: processor another → " in caplog.text
    assert "its code is of commit" not in caplog.text
    printed = capsys.readouterr().out
    line = f"result.json: metrics: test/acc: recorded {accuracy + 1e-12!r}, now {accuracy!r}"
    assert [each for each in printed.splitlines() if each.startswith("result.json")] == [line]
    assert "five seeds" not in printed

    with pytest.raises(ConfigError, match=r"seed0: paths\.runs=again epochs=2 makes another run of it"):
        reproduce_command([*arguments, "epochs=2"])
    with pytest.raises(ConfigError, match=r"records: no finished run \(no result.json\)"):
        reproduce_command(["records", "--repeat"])


@pytest.mark.parametrize(
    ("git", "line"),
    [
        (
            {"commit": "0123456789abcdef", "diff": None},
            "its code is of commit 0123456789ab: in a clone git worktree add",
        ),
        ({"commit": "0123456789abcdef", "diff": "1f"}, "commit 0123456789ab, which was changed when it trained: in"),
        (None, None),
    ],
)
def test_a_record_of_other_code_says_where_that_is(
    git: dict[str, str | None] | None, line: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "membrane")
    (tmp_path / "provenance.json").write_text(json.dumps({"code_digest": "of another version", "git": git}))
    log_code_of(tmp_path)
    assert (line in caplog.text) if line else (caplog.text == "")

"""`membrane reproduce`: options that would change nothing, and settings that would make another row of it."""

import pytest

from membrane.cli.reproduce import reproduce_command
from membrane.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("seq_fmnist/plain seed=3", "seed=3: --seeds 3 chooses it for the row"),
        ("seq_fmnist/plain ++protocol=last", "++protocol=last: --protocol last chooses it for the row"),
        ("seq_fmnist/plain experiment=fsdd", "experiment=fsdd: the row is seq_fmnist/plain;"),
        ("seq_fmnist/plain --quick experiment=fsdd", "experiment=fsdd: the row is seq_fmnist/plain;"),
        ("seq_fmnist/plain debug=fast", "debug=fast: a debug run leaves no result"),
        ("seq_fmnist/plain debug.batches=2", "debug.batches=2: a debug run leaves no result"),
        ("seq_fmnist/plain timesteps=2,4", "several values are a sweep: membrane train -m experiment=seq_fmnist/plain"),
        ("seq_fmnist/plain --quick --seeds 3", "--seeds goes with training a row, not with --quick"),
        ("seq_fmnist/plain --quick --protocol last", "with --quick write protocol=…"),
        ("--repeat records --seeds 3", "--seeds goes with training a row, not with --repeat"),
        ("--list --protocol last", "--protocol goes with training a row, not with --list"),
        ("--redraw fsdd threads=1", "threads=1: --redraw trains nothing"),
        ("--seeds 3", "name what to train: a row"),
    ],
)
def test_what_would_change_nothing_or_another_row_is_refused_before_training(
    typed: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("membrane.cli.reproduce.train_row", lambda _: pytest.fail("it trained"))
    with pytest.raises(ConfigError) as caught:
        reproduce_command(typed.split())
    assert line in str(caught.value)

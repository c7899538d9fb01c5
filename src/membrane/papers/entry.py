"""All that is recorded of a row, ours and by hand, and what it says of the claim."""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from membrane.papers.by_hand import ByHand, read_by_hand
from membrane.papers.duration import logged_seconds
from membrane.papers.record import Results, read_record, spread_of
from membrane.papers.registry import PaperRow
from membrane.papers.spread import SeedMean, seed_mean
from membrane.runs.saved import is_duration
from membrane.schema.paper import Number

SCORE = {"best": "test/acc_best_oracle", "last": "test_last/acc", "mean_last10": "test/acc_mean_last10"}
"""The number that a paper publishes → ours under the paper's protocol."""
HONEST, HONEST_SCORE = "val_best", "test/acc"
"""The protocol that selects on validation and reads the test set once, and its score."""
FEWEST_BY_HAND = 3
"""Seeds by hand from which on they say where a version has moved a published number to."""
LAST_TEN = 10


@dataclass(frozen=True)
class Entry:
    """A row, the ``folder`` of its record, and what lies there."""

    row: PaperRow
    folder: Path
    results: Results
    by_hand: ByHand

    def ours(self, number: Number | None = None) -> SeedMean | None:
        """Return a number under the paper's protocol, by default the one that is compared; None without a result."""
        return spread_of(self.results, self.row.paper.protocol, SCORE[number or self.row.paper.compared])

    def hand(self, number: Number | None = None) -> SeedMean | None:
        """Return a number by hand, by default the one that is compared; None without any."""
        name = number or self.row.paper.compared
        return seed_mean([each.get(name) for each in self.by_hand.values()], f"{self.row.id} by hand has a {name}")

    def honest(self) -> SeedMean | None:
        """Return the test accuracy of the weights that validation selected; None without a result."""
        return spread_of(self.results, HONEST, HONEST_SCORE)

    def state(self) -> str:
        """Return ``not recorded``, ``in band``, ``as by hand``, ``outside`` or, without a band, ``recorded``.

        Where seeds miss, it says how many there are.
        """
        ours, band = self.ours(), self.row.paper.band
        if ours is None:
            return "not recorded"
        if band is not None and band[0] <= ours.mean <= band[1]:
            text = "in band"
        elif self.is_as_by_hand(ours):
            text = "as by hand"
        else:
            text = "recorded" if band is None else "outside"
        return text if ours.n >= self.row.paper.seeds else f"{text}, {ours.n} of {self.row.paper.seeds} seeds"

    def is_as_by_hand(self, ours: SeedMean) -> bool:
        """Return whether ours lies as near to enough trainings by hand as the row asks for in place of its band."""
        hand, within = self.hand(), self.row.paper.by_hand_within
        return (
            hand is not None
            and within is not None
            and hand.n >= FEWEST_BY_HAND
            and abs(hand.mean - ours.mean) <= within
        )

    def flattery(self) -> SeedMean | None:
        """Return by how much the best epoch on the test set lies above the mean of the last ten, by seed.

        None where no seed trained for longer than those ten.
        """
        results = self.results.get(self.row.paper.protocol, {}).values()
        metrics = [each["metrics"] for each in results if each.get("epochs", 0) > LAST_TEN]
        scores = [(each.get(SCORE["best"]), each.get(SCORE["mean_last10"])) for each in metrics]
        both = [best - last for best, last in scores if best is not None and last is not None]
        return seed_mean(both, f"{self.row.id}: a difference")

    def seconds(self) -> tuple[float, float] | None:
        """Return the mean time of a whole training, ours under the paper's protocol and by hand; None without both."""
        folders = [self.folder / self.row.paper.protocol / f"seed{seed}" for seed in self.by_hand]
        ours = [seconds for folder in folders if (seconds := logged_seconds(folder)) is not None]
        hand = [each["seconds"] for each in self.by_hand.values() if is_duration(each.get("seconds"))]
        return (mean(ours), mean(hand)) if ours and hand else None


def read_entry(records: Path, row: PaperRow, unread: list[str]) -> Entry:
    """Return what a folder of records holds of a row; a line on what cannot be read is added to ``unread``."""
    return Entry(row, records / row.id, read_record(records, row, unread), read_by_hand(records, row, unread))

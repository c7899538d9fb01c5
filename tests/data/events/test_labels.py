"""Labels of frames, against a count of their events' labels."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.events.frames import duration_bounds, slice_bounds
from membrane.data.events.labels import majority_labels


@given(
    events=st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2, 700])), max_size=30),
    timesteps=st.integers(1, 6),
    duration=st.integers(1, 50),
)
def test_a_frame_has_the_label_that_most_of_its_events_have(
    events: list[tuple[int, int]], timesteps: int, duration: int
) -> None:
    events = sorted(events, key=lambda event: event[0])
    t, labels = (
        (np.array(column, np.int64) for column in zip(*events, strict=True)) if events else np.empty((2, 0), int)
    )
    for bounds in (slice_bounds(t, timesteps, "time"), duration_bounds(t, duration, 99)):
        expected = []
        for first, last in pairwise(bounds):
            votes = Counter(sorted(label for _, label in events[first:last]))  # of equal votes, the first counted wins
            expected.append(votes.most_common(1)[0][0] if votes else -1)
        assert majority_labels(labels, bounds).tolist() == expected


def test_negative_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels from 0 on are expected, got -1"):
        majority_labels(np.array([3, -1]), [0, 2])

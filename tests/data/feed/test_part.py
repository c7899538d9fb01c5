"""A part is positions in samples that it shares: its columns and its x are those of a copy."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.feed.part import Part
from membrane.data.samples import Samples


def source(n: int, start: int = 0, dtype: torch.dtype = torch.uint8) -> Samples:
    """n samples [3,2] with values from ``start`` on, of two samples a recording."""
    x = (torch.arange(n) + start).to(dtype).reshape(n, 1, 1).expand(n, 3, 2)
    return Samples(x, torch.arange(n) + start, recording=torch.arange(n) // 2 + 7, scale=0.5)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_samples_of_several_sources_are_numbered_in_a_row(sizes: list[int], chance) -> None:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    part = Part.whole(*(source(n, start) for n, start in zip(sizes, starts, strict=True)))
    index = chance.sample(range(sum(sizes)), chance.randint(1, sum(sizes)))
    taken = part.take(torch.tensor(index))
    assert part.index.tolist() == list(range(sum(sizes)))
    assert taken.y.tolist() == index
    assert taken.gather(taken.index)[:, 1, 1].tolist() == index
    assert (len(taken), taken.shape, taken.scale) == (len(index), [3, 2], 0.5)


def test_no_two_sources_share_a_recording() -> None:
    assert Part.whole(source(3), source(2)).recording.tolist() == [7, 7, 8, 9, 9]


def test_x_of_sources_in_two_types_is_in_the_wider_one() -> None:
    x = Part.whole(source(2), source(2, 300, torch.int16)).gather(torch.tensor([3, 0]))
    assert (x.dtype, x[:, 0, 0].tolist()) == (torch.int16, [301, 0])
    backwards = Part.whole(source(2, 300, torch.int16), source(2)).gather(torch.tensor([0, 3]))
    assert (backwards.dtype, backwards[:, 0, 0].tolist()) == (torch.int16, [300, 1])


def test_lengths_are_those_of_the_data_where_a_source_does_not_say() -> None:
    said = Samples(torch.zeros(2, 3, 2), torch.zeros(2), lengths=torch.tensor([1, 2]))
    assert Part.whole(said, source(2)).take(torch.tensor([3, 1])).lengths.tolist() == [3, 2]
    assert Part.whole(source(2)).lengths is None


def test_groups_are_there_only_where_all_sources_have_them() -> None:
    grouped = Samples(torch.zeros(2, 3, 2), torch.zeros(2), group=torch.tensor([4, 5]))
    assert Part.whole(grouped, grouped).take(torch.tensor([3, 0])).group.tolist() == [5, 4]
    assert Part.whole(grouped, source(2)).group is None


def test_statistics_leave_padding_out_and_can_be_read_twice() -> None:
    x = torch.arange(12.0).reshape(2, 3, 1, 2)
    valid = Part.whole(Samples(x, torch.zeros(2), lengths=torch.tensor([1, 3]))).valid_x()
    for _ in range(2):
        (piece,) = valid
        assert piece.tolist() == [[x[0, 0].tolist(), *x[1].tolist()]]


def test_large_samples_come_a_few_at_a_time() -> None:
    x = torch.zeros(5, 1, 2**21, dtype=torch.uint8)
    assert [len(piece) for piece in Part.whole(Samples(x, torch.zeros(5))).valid_x()] == [2, 2, 1]

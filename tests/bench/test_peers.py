"""The list of peers, membrane.bench.peers.__init__: which are timed, where, in which layouts, and how they differ."""

import pytest
import torch
from peer_nets import CPU, NETS, small

from membrane.bench import peers
from membrane.bench.measure import timed_precisions
from membrane.bench.peers import CHANNELS_LAST, PEERS
from membrane.bench.precision import lay_out_input
from membrane.bench.step import random_samples


def test_names_are_unique_and_ours_come_first_the_floor_last() -> None:
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert [peer.role for peer in PEERS] == ["ours"] * 3 + ["peer"] * 4 + ["floor"]
    assert {peer.name: peer.devices for peer in PEERS if peer.devices != ("cpu", "cuda")} == {
        "membrane compiled": ("cuda",)
    }


def test_a_peer_is_installed_if_its_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: object() if name == "torch" else None)
    assert {peer.library for peer in PEERS if peer.is_installed()} == {"torch"}


def test_only_other_libraries_neurons_differ() -> None:
    for peer in PEERS:
        if peer.is_installed():
            differs = peer.library in ("snntorch", "norse")
            assert [peer.note(name) is not None for name in ("if", "lif")] == [differs] * 2
            assert peer.note("psn") is None


def test_layouts_need_images_or_signals() -> None:
    ours, theirs = PEERS[0], next(peer for peer in PEERS if peer.role == "peer")
    has = [(ours.has_channels_last(NETS[name]), theirs.has_channels_last(NETS[name])) for name in NETS]
    assert has == [(True, True), (True, True), (True, False), (False, False)]


def test_signals_lie_channels_last_where_the_layout_is_ours() -> None:
    for peer in PEERS:
        last = [CHANNELS_LAST in timed_precisions(peer, small(name)) for name in ("W2", "W3", "W4")]
        has = CHANNELS_LAST in peer.precisions
        assert last == [has, has and peer.role != "peer", False]
    assert (
        sum(CHANNELS_LAST in timed_precisions(peer, small("W3")) for peer in PEERS) == 3
    )  # both of ours, and the floor


@pytest.mark.parametrize("name", ["W1", "W2", "W3"])
def test_channels_last_changes_the_layout_and_no_number(name: str) -> None:
    workload = small(name)
    x, _ = random_samples(workload, CPU)
    result = lay_out_input(x, workload, channels_last=True)
    assert torch.equal(result, x)
    merged = result.transpose(0, 1).flatten(0, 1) if workload.in_data else result
    assert merged.movedim(1, -1).is_contiguous()
    assert merged.data_ptr() == result.data_ptr()

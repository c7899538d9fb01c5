"""How OpenMP's threads wait: as membrane has it, unless the environment says so."""

import os

import pytest

from membrane.fast.waiting_threads import WAITING, let_waiting_threads_sleep, with_own_waiting


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}, {"OMP_NUM_THREADS": "2"}])
def test_what_somebody_chose_stays_alone(monkeypatch: pytest.MonkeyPatch, own: dict[str, str]) -> None:
    environment = dict(own)
    monkeypatch.setattr(os, "environ", environment)
    let_waiting_threads_sleep()
    chosen = own.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    assert environment == (own if chosen else own | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"})


def test_other_programs_wait_as_they_would_without_membrane() -> None:
    assert with_own_waiting({"PATH": "/bin", **WAITING}) == {"PATH": "/bin"}
    for own in ({"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "0"}, {"OMP_WAIT_POLICY": "passive"}):
        assert with_own_waiting(own) == own

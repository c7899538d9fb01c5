import pytest
from event_mutants import SAMPLES, mutant, outcome


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_itself_is_sound(name: str) -> None:
    assert outcome(name, SAMPLES[name][1]).refused is None


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_files_are_refused_in_a_line_or_give_sound_events(name: str) -> None:
    outcomes = [outcome(name, mutant(name, number), number) for number in range(200)]
    refused = {each.refused for each in outcomes if each.refused is not None}
    assert len(refused) > 20  # in many places
    assert any(each.refused is None for each in outcomes)

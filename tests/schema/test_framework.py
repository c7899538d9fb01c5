"""What the schema knows of a framework before torch is imported."""

import pytest

from membrane.schema.framework import FRAMEWORKS, Framework


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.choice)
def test_a_frameworks_name_says_what_data_and_steps_it_takes(framework: type[Framework]) -> None:
    assert framework.timesteps_in_data == framework.choice.endswith("_tid") == framework.public.endswith("TID")
    assert framework.single_step == (not framework.choice.startswith("multistep"))

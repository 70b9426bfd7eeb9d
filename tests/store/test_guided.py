"""Which digit somebody is asked for next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitcore.store.guided import PER_DIGIT, remaining_prompts, rounds_written


@pytest.mark.parametrize("finished", [0, 3])
def test_a_round_asks_ten_times_for_each_digit_in_an_order_that_stays(finished: int) -> None:
    counts = [finished * PER_DIGIT] * 10
    prompts = remaining_prompts("somebody", counts, finished=finished)
    assert np.bincount(prompts).tolist() == [PER_DIGIT] * 10
    assert prompts == remaining_prompts("somebody", counts, finished=finished)
    assert prompts != remaining_prompts("anybody", counts, finished=finished)
    assert prompts != remaining_prompts("somebody", [c + PER_DIGIT for c in counts], finished=finished + 1)


@given(st.integers(0, 100), st.integers(0, 3))
def test_whoever_writes_what_is_asked_for_goes_through_the_round_in_its_order(stop: int, finished: int) -> None:
    counts = [finished * PER_DIGIT] * 10
    whole = remaining_prompts("somebody", counts, finished=finished)
    for digit in whole[:stop]:
        assert remaining_prompts("somebody", counts, finished=finished)[0] == digit
        counts[digit] += 1
    assert remaining_prompts("somebody", counts, finished=finished) == whole[stop:]
    assert rounds_written(counts) == finished + (stop == 100)


@given(st.lists(st.integers(0, 25), min_size=10, max_size=10))
def test_nothing_is_asked_for_more_often_than_it_is_missing(counts: list[int]) -> None:
    prompts = remaining_prompts("somebody", counts, finished=1)
    assert [prompts.count(digit) for digit in range(10)] == [
        min(PER_DIGIT, max(0, 2 * PER_DIGIT - count)) for count in counts
    ]

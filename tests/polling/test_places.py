# SPDX-License-Identifier: Apache-2.0
"""Where a run is to be expected in the listing, as pages show it and new runs push it down."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.polling.followed import Followed
from airflow_provider_agentruns.polling.places import Places
from tests.polling.fake_service import seeded


@pytest.fixture
def places() -> Places:
    """Return places whose pages hold ten runs."""
    places = Places()
    places.learn_size(10, 10, True, 1000)
    return places


def runs(count: int) -> list[Followed]:
    """Return some runs."""
    return [Followed(f"r-{number}", 0.0) for number in range(count)]


def on_pages(places: Places, *numbers: int) -> list[list[str]]:
    """Return the ids of the runs that are to be expected on each page."""
    return [[run.run_id for run in places.on_page(number)] for number in numbers]


def test_a_run_that_was_never_seen_is_nowhere(places: Places) -> None:
    [run] = runs(1)
    assert places.page_of(run) is None
    assert on_pages(places, 1, 2) == [[], []]


def test_a_run_is_expected_where_it_was_seen(places: Places) -> None:
    first, last, next_page = seen = runs(3)
    places.saw([(0, first), (9, last), (10, next_page)])
    assert [places.page_of(run) for run in seen] == [1, 1, 2]
    assert on_pages(places, 1, 2, 3) == [["r-0", "r-1"], ["r-2"], []]


def test_seeing_one_again_tells_by_how_far_all_have_moved(places: Places) -> None:
    seen = runs(30)
    places.saw(list(enumerate(seen)))
    # Twelve new ones have come above all.
    places.saw([(12, seen[0])])
    assert [places.page_of(seen[number]) for number in (0, 7, 8, 17, 18, 29)] == [2, 2, 3, 3, 4, 5]
    assert on_pages(places, 1, 2)[0] == []
    assert len(places.on_page(2)) == 8


def test_what_is_new_gets_a_place_among_the_others(places: Places) -> None:
    old, new = runs(10), runs(5)
    places.saw(list(enumerate(old)))
    places.saw([*enumerate(new), *((5 + number, run) for number, run in enumerate(old[:5]))])
    assert places.on_page(1) == [*new, *old[:5]]
    assert places.on_page(2) == old[5:]


def test_what_has_moved_by_itself_gets_another_place(places: Places) -> None:
    seen = runs(3)
    places.saw([(0, seen[0]), (25, seen[1]), (26, seen[2])])
    places.saw([(0, seen[0]), (1, seen[2])])
    assert [places.page_of(run) for run in seen] == [1, 3, 1]
    assert places.on_page(3) == [seen[1]]


def test_what_is_forgotten_is_nowhere(places: Places) -> None:
    seen = runs(3)
    places.saw(list(enumerate(seen)))
    places.forget(seen[1])
    places.forget(seen[1])
    assert places.page_of(seen[1]) is None
    assert places.on_page(1) == [seen[0], seen[2]]


def test_what_was_pushed_above_the_listing_is_expected_on_the_first_page(places: Places) -> None:
    seen = runs(2)
    places.saw([(5, seen[0]), (25, seen[1])])
    # Runs have been taken out of it.
    places.saw([(10, seen[1])])
    assert places.page_of(seen[0]) == 1
    assert places.on_page(1) == [seen[0]]


def test_places_are_right_however_many_come_and_go(places: Places) -> None:
    rng = seeded(1)
    listing: list[Followed] = []
    for step in range(200):
        listing[:0] = [Followed(f"{step}-{number}", 0.0) for number in range(rng.randrange(4))]
        for number in range(1, len(listing) // 10 + 2):
            start = 10 * (number - 1)
            places.saw(list(enumerate(listing))[start : start + 10])
            if rng.random() < 0.5:
                break
        if listing and rng.random() < 0.3:
            gone = rng.choice(listing)
            places.forget(gone)
    # What a page has just shown is expected there and nowhere else.
    for number in range(1, len(listing) // 10 + 2):
        shown = listing[10 * (number - 1) : 10 * number]
        places.saw(list(enumerate(listing))[10 * (number - 1) : 10 * number])
        assert set(shown) <= set(places.on_page(number))
        assert {places.page_of(run) for run in shown} <= {number}


class TestSize:
    """How many runs to ask for is learnt from what comes."""

    @pytest.mark.parametrize(
        ("grants", "asked", "size"),
        [
            (lambda size: min(size, 500), [500], 500),
            (lambda size: min(size, 100), [500], 100),
            (lambda size: min(size, 250), [500], 250),
            (lambda size: min(size, 30), [500, 100], 30),
            (lambda size: size if size <= 100 else 20, [500, 100], 100),
            (lambda size: size if size <= 50 else 20, [500, 100], 20),
        ],
        ids=["grants all", "clamps to 100", "clamps to 250", "clamps to 30", "falls back above 100", "above 50"],
    )
    def test_a_few_pages_tell_how_many_are_granted(self, grants: object, asked: list[int], size: int) -> None:
        places, sizes = Places(), []
        while places.size is None:
            sizes.append(places.asking)
            places.learn_size(places.asking, grants(places.asking), True, 1000)  # type: ignore[operator]
        assert (sizes, places.size, places.asking) == (asked, size, size)

    def test_the_last_page_tells_nothing(self) -> None:
        places = Places()
        places.learn_size(500, 7, False, 1000)
        assert (places.size, places.asking) == (None, 500)

    def test_an_empty_page_tells_nothing(self) -> None:
        places = Places()
        places.learn_size(500, 0, True, 1000)
        assert (places.size, places.asking) == (None, 500)

    def test_a_page_that_is_short_once_tells_nothing(self, places: Places) -> None:
        places.learn_size(10, 9, True, 1000)
        assert places.size == 10

    def test_while_there_is_one_page_all_are_on_it(self) -> None:
        places, seen = Places(), runs(300)
        places.saw(list(enumerate(seen)))
        assert {places.page_of(run) for run in seen} == {1}
        assert places.on_page(1) == seen

    def test_a_page_of_many_bytes_is_made_smaller(self) -> None:
        places = Places()
        places.learn_size(500, 500, True, 20_000_000)
        # With room to spare: some entries are larger than others.
        assert places.size == places.asking == 25
        places.learn_size(25, 25, True, 100_000_000)
        assert places.size == 10
        places.learn_size(10, 10, True, 100_000_000)
        assert places.size == 10

    def test_a_service_that_refuses_is_asked_for_fewer_until_that_makes_no_sense(self) -> None:
        places, asked = Places(), [500]
        while places.refused_size():
            asked.append(places.asking)
        assert asked == [500, 100, 50, 25, 12, 6]
        assert places.size is None

    def test_another_size_keeps_places(self) -> None:
        places, seen = Places(), runs(40)
        places.learn_size(20, 20, True, 1000)
        places.saw(list(enumerate(seen)))
        assert places.refused_size()
        places.learn_size(5, 5, True, 1000)
        assert places.on_page(3) == seen[10:15]
        assert places.page_of(seen[12]) == 3

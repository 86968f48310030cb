"""What a window shows of outlines is what the session says, wherever it looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graticule.box import Box
from graticule.napari.colours import CODES
from graticule.napari.outlines import STEP, Outlines
from graticule.review import Region, Session, field_around
from graticule.workflows.review import load_result, open_review
from tests.napari.results import PX_UM, write_result


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_review(load_result(write_result(tmp_path, outlined=True, number=20, shape=(150, 200))), who="ada")


def coded(session: Session, box: Box) -> np.ndarray:
    numbers = session.state.outlines(box, statuses=("open", "accepted", "rejected"))
    codes = {0: 0, **{n: STEP * n + CODES[item.status] for n, item in session.items.items()}}
    return np.vectorize(codes.__getitem__, otypes=[np.int64])(numbers)


def put(shown: Outlines, ids: tuple[int, ...], regions: tuple[Region, ...] = ()) -> int:
    """Apply the patch of a decision; how many voxels it is."""
    patch = shown.patch(ids, regions)
    if patch is None:
        return 0
    shown.voxels[patch.places] = patch.values
    return len(patch.values)


def test_each_decision_changes_the_voxels_of_its_objects_and_no_others(session: Session) -> None:
    shown = Outlines(session)
    assert shown.show(session.queue.fields_um[0]) and not shown.show(session.queue.fields_um[1])
    np.testing.assert_array_equal(shown.voxels, coded(session, shown.box))
    session.accept(3)
    assert put(shown, (3,)) == 49
    session.merge(4, 5)
    put(shown, (4, 5))
    centre = session.items[6].position_um
    decision = session.split(6, [(centre[0] - 2 * PX_UM, centre[1]), (centre[0] + 2 * PX_UM, centre[1])])
    put(shown, (6, *decision.new), decision.regions)
    square = Region((0, 0), np.ones((20, 20), bool))
    added = session.add((0, 0), region=square)
    put(shown, (added,), (square,))
    decision = session.reshape(7, Region((60, 60), np.ones((30, 5), bool)))
    put(shown, (7, *decision.new), decision.regions)
    np.testing.assert_array_equal(shown.voxels, coded(session, shown.box))
    while session.last is not None:
        last = session.undo()
        put(shown, (*last.ids, *last.new), last.regions)
        np.testing.assert_array_equal(shown.voxels, coded(session, shown.box))


def test_a_large_image_is_shown_in_parts(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graticule.napari.outlines.WHOLE", 1000)
    monkeypatch.setattr("graticule.napari.outlines.PART", 6000)
    shown = Outlines(session)
    for number in (1, 20, 20, 11):
        shown.show(field_around(session.items[number].position_um, 30 * PX_UM, session.image))
        assert np.prod(shown.box.shape) < 30_000 and shown.of(number).sum() == 49
        np.testing.assert_array_equal(shown.voxels, coded(session, shown.box))
        session.accept(number)
        put(shown, (number,))
        np.testing.assert_array_equal(shown.voxels, coded(session, shown.box))
    session.reject(1)
    assert put(shown, (1,)) == 0, "far from what is shown"


def test_what_is_drawn_on_a_part_lies_where_it_belongs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graticule.napari.outlines.WHOLE", 1000)
    shown = Outlines(session)
    shown.show(field_around(session.items[20].position_um, 30 * PX_UM, session.image))
    region = shown.drawn(shown.of(20))
    assert region is not None and region.start == session.outline(20).start
    np.testing.assert_array_equal(region.mask, session.outline(20).mask)
    assert shown.drawn(np.zeros(shown.box.shape)) is None


def test_an_object_larger_than_its_window_is_shown_whole_before_it_is_redrawn(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graticule.napari.outlines.WHOLE", 1000)
    monkeypatch.setattr("graticule.napari.outlines.PART", 1000)
    session.reshape(20, Region((20, 30), np.ones((110, 160), bool)))
    shown = Outlines(session)
    shown.show(field_around(session.items[20].position_um, 20 * PX_UM, session.image))
    whole = session.outline(20)
    assert shown.of(20).sum() < whole.voxels
    assert shown.hold(whole.box) and shown.of(20).sum() == whole.voxels
    assert not shown.hold(whole.box)

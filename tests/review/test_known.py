from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graticule.review.known import is_known, known, voxels_in
from tests.review.scenes import IMAGE, opened, outlined_proposals, point_proposals, square_labels

REACH = 1.0


def test_nothing_decided_is_nothing_known(tmp_path: Path) -> None:
    assert not known(opened(tmp_path), REACH).any()


def test_a_frame_that_was_seen_is_known_but_for_what_is_open_in_it(tmp_path: Path) -> None:
    session = opened(tmp_path, point_proposals(40))
    frame = ((5.0, 5.0), (25.0, 25.0))
    inside = [i.id for i in session.items.values() if all(7 < x < 23 for x in i.position_um)]
    session.accept(inside[0], seen_um=frame)
    mask = known(session, REACH)
    assert mask[tuple(np.round(IMAGE.to_voxels(np.array([session.items[inside[0]].position_um]))[0]).astype(int))]
    for number in inside[1:]:
        assert not mask[tuple(np.round(IMAGE.to_voxels(np.array([session.items[number].position_um]))[0]).astype(int))]
    outside = mask.copy()
    outside[voxels_in(frame, IMAGE).slices()] = False
    assert outside.sum() < 60 and mask.sum() > 500  # a little around the item itself may reach out of the frame


def test_a_complete_image_is_known_everywhere_but_where_something_is_open(tmp_path: Path) -> None:
    session = opened(tmp_path)
    session.complete()
    assert 0.4 < known(session, REACH).mean() < 1
    session.accept(*session.items)
    assert known(session, REACH).all()


def test_of_outlines_their_own_voxels_count(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    session.accept(1)
    session.complete()
    mask = known(session, 0.0)
    np.testing.assert_array_equal(mask, (square_labels() == 0) | (square_labels() == 1))


@given(seed=st.integers(0, 30))
def test_a_single_place_is_known_where_the_mask_says_so(tmp_path_factory, seed: int) -> None:
    session = opened(tmp_path_factory.mktemp("known"), point_proposals(10, seed))
    session.accept(1, seen_um=((3.0, 3.0), (13.0, 13.0)))
    session.reject(*[n for n in session.items if n > 1])
    mask = known(session, REACH)
    voxels = np.random.default_rng(seed).integers(0, IMAGE.shape, (40, 2))
    for voxel in voxels:
        place = IMAGE.to_um(voxel[None].astype(float))[0].tolist()
        assert is_known(session, place, REACH) == mask[tuple(voxel)]

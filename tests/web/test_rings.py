"""Outlines as lines, and lines as outlines, also where labels are coarser than the image, and in volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.results import Labels, Points
from graticule.review import Order, Proposals, Session
from graticule.web import rings
from graticule.web.rings import region_of, rings_in


def session_of(folder: Path, labels: Image, image: Image) -> Session:
    ids = [int(n) for n in np.unique(labels.data) if n]
    centres = np.array([np.argwhere(np.asarray(labels.data) == n).mean(axis=0) for n in ids])
    found = Points(labels.to_um(centres), np.full(len(ids), 0.5), np.zeros(len(ids), int), ("cell",))
    proposals = Proposals.of(found, Labels(labels), ids)
    return Session.open(folder / "ada.jsonl", image, proposals, order=Order(view_um=8.0), who="ada")


def rings_of(session: Session, *window: int, z: int = 0) -> dict[int, list[rings.Ring]]:
    return rings_in(session.state, session.image, *window, z=z)


def corners(lines: list[rings.Ring]) -> tuple[list[float], list[float]]:
    every = np.concatenate([np.array(line) for line in lines])
    return every.min(axis=0).tolist(), every.max(axis=0).tolist()


def plane(*squares: tuple[int, int, int], shape: tuple[int, ...] = (40, 60)) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    for number, (y, x, side) in enumerate(squares, start=1):
        labels[..., y : y + side, x : x + side] = number
    return labels


def test_lines_run_between_voxels(tmp_path) -> None:
    labels = Image(plane((5, 10, 6), (20, 30, 10)), "yx", (0.5, 0.25))
    told = rings_of(session_of(tmp_path, labels, labels), 0, 0, 40, 60)
    assert corners(told[1]) == ([4.5, 9.5], [10.5, 15.5])
    assert corners(told[2]) == ([19.5, 29.5], [29.5, 39.5])


def test_labels_coarser_than_the_image_lie_where_they_belong(tmp_path) -> None:
    image = Image(np.zeros((80, 120), np.uint8), "yx", (0.5, 0.25))
    labels = Image(plane((5, 10, 6)), "yx", (1.0, 0.5), (0.25, 0.125))
    session = session_of(tmp_path, labels, image)
    assert corners(rings_of(session, 0, 0, 80, 120)[1]) == ([9.5, 19.5], [21.5, 31.5])
    assert corners(rings_of(session, 8, 16, 20, 20)[1]) == ([9.5, 19.5], [21.5, 31.5])
    assert rings_of(session, 40, 60, 20, 20) == {}


def test_a_hole_has_a_line_of_its_own(tmp_path) -> None:
    labels = plane((5, 10, 9))
    labels[8:11, 13:16] = 0
    image = Image(labels, "yx", (1.0, 1.0))
    assert len(rings_of(session_of(tmp_path, image, image), 0, 0, 40, 60)[1]) == 2


def test_of_a_volume_one_plane_is_shown(tmp_path) -> None:
    labels = plane((5, 10, 6), shape=(7, 40, 60))
    labels[:3] = 0
    image = Image(labels, "zyx", (2.0, 0.5, 0.5))
    session = session_of(tmp_path, image, image)
    assert rings_of(session, 0, 0, 40, 60, z=2) == {}
    assert corners(rings_of(session, 0, 0, 40, 60, z=3)[1]) == ([4.5, 9.5], [10.5, 15.5])


def test_too_much_at_once_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rings, "MOST_PIXELS", 100)
    labels = Image(plane((5, 10, 6)), "yx", (1.0, 1.0))
    with pytest.raises(AnnotationError, match="zoom in"):
        rings_of(session_of(tmp_path, labels, labels), 0, 0, 40, 60)


def test_what_is_drawn_around_voxels_holds_them_and_no_other() -> None:
    place = Image(np.zeros((40, 60), np.uint8), "yx", (0.5, 0.25))
    drawn = place.to_um(np.array([(4.6, 9.6), (4.6, 15.4), (10.4, 15.4), (10.4, 9.6)]))
    region = region_of(drawn.tolist(), place)
    assert region.start == (5, 10) and region.mask.shape == (6, 6) and region.mask.all()


def test_what_is_drawn_on_a_plane_of_a_volume_is_one_plane_thick() -> None:
    place = Image(np.zeros((7, 40, 60), np.uint8), "zyx", (2.0, 0.5, 0.25))
    drawn = place.to_um(np.array([(3, 4.6, 9.6), (3, 4.6, 15.4), (3, 10.4, 15.4), (3, 10.4, 9.6)]))
    region = region_of(drawn.tolist(), place)
    assert region.start == (3, 5, 10) and region.mask.shape == (1, 6, 6)


@pytest.mark.parametrize(
    "drawn",
    [
        [(0, 0), (1, 1)],
        [(0, 0, 0)] * 3,
        [(500, 500), (510, 500), (510, 510)],
        [(float("inf"), 0), (1, 1), (2, 0)],
        [(-50, -50), (-40, -50), (-40, -40)],
    ],
)
def test_what_is_no_outline_is_refused(drawn) -> None:
    with pytest.raises(AnnotationError, match="draw it anew"):
        region_of(drawn, Image(np.zeros((40, 60), np.uint8), "yx", (0.5, 0.25)))


def test_what_is_drawn_over_the_edge_ends_there() -> None:
    place = Image(np.zeros((40, 60), np.uint8), "yx", (1.0, 1.0))
    region = region_of([(-10, -10), (-10, 5.4), (5.4, 5.4), (5.4, -10)], place)
    assert region.start == (0, 0) and region.mask.shape == (6, 6) and region.mask.all()

"""The real napari window on a virtual display, driven by key events as a person's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.napari.results import PX_UM, write_result


class Hands:
    """A keyboard and a mouse at napari's window, and eyes on its panel."""

    def __init__(self, viewer, panel) -> None:
        self.viewer, self.panel = viewer, panel
        self.canvas = viewer.window._qt_viewer.canvas.native

    def press(self, keys: str) -> str:
        """Letters and digits, one after the other; what the panel says after the last."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        for key in keys:
            QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"))
            self.settle()
        return self.said

    def settle(self) -> None:
        from qtpy.QtWidgets import QApplication

        for _ in range(3):
            QApplication.processEvents()

    def point(self, place_um) -> None:
        """Move the mouse there."""
        from qtpy.QtCore import QPoint
        from qtpy.QtTest import QTest

        centre, zoom = self.viewer.scene.camera.center[-2:], self.viewer.scene.camera.zoom
        ratio = self.canvas.devicePixelRatioF()
        y, x = (
            np.subtract(place_um[-2:], centre) * zoom / ratio + [self.canvas.height() / 2, self.canvas.width() / 2]
        ).round()
        QTest.mouseMove(self.canvas, QPoint(int(x) + 1, int(y)))
        QTest.mouseMove(self.canvas, QPoint(int(x), int(y)))
        QTest.qWait(60)

    def decide_fields(self) -> int:
        """Past fields to be searched, to an item; its number."""
        while not self.reviewing.focus.item:
            self.press("C")
        return self.reviewing.focus.item

    @property
    def reviewing(self):
        return self.panel.reviewing

    @property
    def said(self) -> str:
        return self.panel.message.text()

    @property
    def proposals(self):
        return self.viewer.layers["proposals"]


@pytest.fixture
def hands(window) -> Hands:
    return Hands(*window)


def opened(hands: Hands, folder: Path) -> Hands:
    hands.panel.open(folder, "ada")
    hands.settle()
    assert hands.reviewing is not None and hands.reviewing.session is not None, hands.said
    return hands


def journal(hands: Hands) -> list[dict]:
    return [json.loads(line) for line in hands.reviewing.session.journal.read_text().splitlines()[1:]]


def colour(hands: Hands, number: int) -> str:
    row = hands.panel.scene._rings.rows[number]
    return "#" + "".join(f"{round(255 * float(c)):02X}" for c in hands.proposals.border_color[row][:3])


def test_keys_decide_and_what_is_said_is_in_the_journal(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path))
    item = hands.decide_fields()
    before = len(journal(hands))
    assert hands.press("Y") == f"accepted {item}"
    assert (journal(hands)[before]["what"], journal(hands)[before]["ids"]) == ("accept", [item])
    assert colour(hands, item) == "#56B4E9"
    second = hands.decide_fields()
    assert hands.press("N") == f"rejected {second}" and colour(hands, second) == "#D55E00"
    third = hands.decide_fields()
    assert hands.press("2") == f"labelled {third} as 12nm"
    assert hands.press("U") == f"took back: relabel {third}" and colour(hands, third) == "#F0E442"
    assert hands.press("K") == f"skipped {third}"


def test_what_is_in_front_is_in_the_middle_with_a_frame_around_it(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, number=40, shape=(300, 300)))
    for _ in range(4):
        item = hands.reviewing.session.items[hands.decide_fields()]
        assert hands.viewer.scene.camera.center[-2:] == pytest.approx(item.position_um)
        drawn = hands.viewer.layers["in front"].data[2:]
        low, high = hands.reviewing.focus.frame_um
        assert drawn[0][0] == pytest.approx(low) and drawn[[2, 6], 0].max(axis=0) == pytest.approx([high[0], high[1]])
        hands.press("Y")


def test_progress_and_estimates_are_told(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, number=30, shape=(300, 300)))
    while hands.reviewing.focus is not None:
        hands.press("Y" if hands.reviewing.focus.item else "C")
    panel = hands.panel
    assert panel.counts.text().startswith("30 of 30 decided (30 right, 0 wrong)")
    assert panel.bar.value() == panel.bar.maximum()
    assert "right: 100% (100% to 100%)" in panel.estimates.text() and "missed: 0 objects" in panel.estimates.text()
    assert "last image" in panel.question.text()


def test_the_cursor_says_where_to_add_to_move_and_what_to_join(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path))
    item = hands.decide_fields()
    session = hands.reviewing.session
    there = session.items[item].position_um
    hands.point(np.add(there, (5 * PX_UM, 5 * PX_UM)))
    said = hands.press("I")
    number = int(said.split()[1])
    assert said == f"added {number} as 6nm"
    assert session.items[number].position_um == pytest.approx(np.add(there, 5 * PX_UM), abs=PX_UM)
    assert len(hands.proposals.data) == 13 and colour(hands, number) == "#56B4E9"
    assert hands.press("J") == f"joined {item} with {number}"
    row = hands.panel.scene._rings.rows[number]
    assert not hands.proposals.shown[row]
    assert hands.press("U").startswith("took back: merge") and hands.proposals.shown[row]
    hands.point(np.add(there, (0, 3 * PX_UM)))
    assert hands.press("H") == f"moved {item}"
    row = hands.panel.scene._rings.rows[item]
    assert hands.proposals.data[row] == pytest.approx(np.add(there, (0, 3 * PX_UM)), abs=PX_UM)


def test_refusals_are_one_line_in_the_panel(hands: Hands, tmp_path: Path) -> None:
    hands.panel.open(tmp_path, "ada")
    assert "found no result here" in hands.said and "\n" not in hands.said
    assert hands.press("Y").startswith("found no open review")
    opened(hands, write_result(tmp_path))
    hands.decide_fields()
    said = hands.press("R")
    assert said.startswith("found a point to draw") and "#D55E00" in hands.panel.message.styleSheet()
    hands.press("Y")
    assert "#D55E00" not in hands.panel.message.styleSheet()


def test_a_torn_journal_is_told_in_the_window(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path))
    hands.decide_fields()
    hands.press("Y")
    path = hands.reviewing.session.journal
    hands.panel.close_review()
    with path.open("ab") as file:
        file.write(b'{"n": 9')
    opened(hands, tmp_path / "out" / "a")
    assert "cut off" in hands.said and "#F0E442" in hands.panel.message.styleSheet()
    hands.panel.close_review()


def test_keys_act_while_the_image_layer_is_active(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path))
    item = hands.decide_fields()
    hands.viewer.layers.selection.active = hands.viewer.layers["image"]
    assert hands.press("Y") == f"accepted {item}"


def test_outlines_show_their_status_and_only_what_changed_is_drawn(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, outlined=True))
    item = hands.decide_fields()
    assert set(np.unique(hands.proposals.data % 4)) == {0, 1}
    hands.press("Y")
    changed = hands.proposals.data % 4 == 2
    assert changed.sum() == 49 and set(np.unique(hands.proposals.data[changed] // 4)) == {item}
    hands.press("U")
    assert not (hands.proposals.data % 4 == 2).any()


def test_an_outline_is_painted_and_committed_by_keys(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, outlined=True))
    item = hands.decide_fields()
    session = hands.reviewing.session
    assert "R again" in hands.press("R")
    drawing = hands.viewer.layers["drawing"]
    assert hands.viewer.layers.selection.active.name == "drawing"
    centre = (np.array(session.items[item].position_um) / PX_UM).round().astype(int)
    drawing.brush_size = 14
    drawing.paint(tuple(centre), 1)
    assert "finish it" in hands.press("Y")
    assert hands.press("R") == f"drew the outline of {item} anew"
    assert session.outline(item).voxels > 100 and "drawing" not in hands.viewer.layers
    assert (hands.proposals.data // 4 == item).sum() == session.outline(item).voxels
    hands.press("I")
    hands.viewer.layers["drawing"].data_setitem((np.array([0, 0, 1]), np.array([0, 1, 0])), 1)
    said = hands.press("I")
    new = int(said.split()[1])
    assert session.outline(new).voxels == 3 and (hands.proposals.data // 4 == new).sum() == 3
    hands.press("I")
    assert hands.press("U") == "left the outline as it was" and "drawing" not in hands.viewer.layers


def test_a_volume_follows_its_items_through_the_planes(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, shape=(30, 60, 60), radius_px=3))
    for _ in range(3):
        item = hands.reviewing.session.items[hands.decide_fields()]
        assert hands.viewer.dims.point[0] == pytest.approx(item.position_um[0], abs=PX_UM)
        hands.press("Y")
        assert colour(hands, item.id) == "#56B4E9"


def test_outlines_of_a_volume_follow_too(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path, shape=(30, 60, 60), radius_px=3, outlined=True))
    item = hands.decide_fields()
    assert hands.press("Y") == f"accepted {item}"
    assert set(np.unique(hands.proposals.data[hands.proposals.data % 4 == 2] // 4)) == {item}


def test_of_a_large_image_the_part_around_what_is_in_front_is_shown(
    hands: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scene.IMAGE_WHOLE", "scene.IMAGE_PART", "outlines.WHOLE", "outlines.PART"):
        monkeypatch.setattr(f"graticule.napari.{name}", 4000)
    folder = write_result(tmp_path, number=25, shape=(900, 900), outlined=True)
    opened(hands, folder)
    whole = np.asarray(hands.reviewing.session.image.data[...])
    for _ in range(4):
        item = hands.reviewing.session.items[hands.decide_fields()]
        for layer in (hands.viewer.layers["image"], hands.proposals):
            assert layer.data.size < whole.size / 4
            row, column = (int(v) for v in np.round(layer.world_to_data(item.position_um)))
            at = tuple(int(v) for v in np.round(np.array(item.position_um) / PX_UM))
            expected = whole[at] if layer.name == "image" else 4 * item.id + 1
            assert layer.data[row, column] == expected
        assert hands.press("Y") == f"accepted {item.id}"


def test_a_finished_image_is_followed_by_the_next(hands: Hands, tmp_path: Path) -> None:
    write_result(tmp_path, "a", number=1)
    write_result(tmp_path, "b", number=2, outlined=True)
    opened(hands, tmp_path / "out")
    while hands.reviewing.focus is not None:
        hands.press("Y" if hands.reviewing.focus.item else "C")
    assert hands.press("K") == "opened b" and "(2 of 2)" in hands.panel.title.text()
    assert len([layer for layer in hands.viewer.layers if layer.name == "image"]) == 1


def test_a_panel_that_is_closed_lets_go_of_journal_layers_and_keys(hands: Hands, tmp_path: Path) -> None:
    from graticule.napari.panel import ReviewPanel

    folder = write_result(tmp_path)
    hands.panel.close_review()
    dock = hands.viewer.window.add_dock_widget(ReviewPanel(hands.viewer), name="another")
    other = dock.widget()
    other.open(folder, "ada")
    assert other.reviewing.session is not None
    hands.panel.open(folder, "ada")
    assert "in use" in hands.said
    hands.viewer.window.remove_dock_widget(dock)
    hands.settle()
    assert other.reviewing is None and not hands.viewer.keymap
    assert "proposals" not in hands.viewer.layers
    hands.panel._bind()
    opened(hands, folder)


def test_layers_that_somebody_removed_do_not_stop_a_review(hands: Hands, tmp_path: Path) -> None:
    opened(hands, write_result(tmp_path))
    item = hands.decide_fields()
    hands.viewer.layers.remove(hands.viewer.layers["proposals"])
    hands.settle()
    hands.viewer.layers.selection.active = hands.viewer.layers["image"]
    assert hands.press("Y") == f"accepted {item}"


def test_a_review_opens_beside_a_layer_in_pixels(hands: Hands, tmp_path: Path) -> None:
    hands.panel.close_review()
    hands.viewer.add_image(np.zeros((20, 20)), name="other")
    item = opened(hands, write_result(tmp_path)).decide_fields()
    assert hands.press("Y") == f"accepted {item}"
    hands.viewer.layers.remove(hands.viewer.layers["other"])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_long_reviews_lose_no_references_to_none(hands: Hands, tmp_path: Path) -> None:
    """Some Qt bindings drop one with many a call: napari then aborts after an hour's work, so such are not to be had."""
    opened(hands, write_result(tmp_path, number=40, shape=(300, 300)))
    hands.press("YYY")
    before = sys.getrefcount(None)
    hands.press("Y" * 20)
    assert sys.getrefcount(None) - before > -200

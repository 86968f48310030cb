"""A review on napari's canvas: the image, what was found in it, and the frame around what is in front.

All layers lie in micrometres. Only what a step changed is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap

from graticule.box import Box
from graticule.image import Array, Image
from graticule.napari.colours import CODES, DARK, DRAWN, LIGHT, STATUS, SYMBOLS
from graticule.napari.outlines import Outlines
from graticule.napari.reviewing import Change, Focus
from graticule.napari.rings import RING_WIDTH, Rings, rgba
from graticule.napari.window import contrast, voxels_of, window_for
from graticule.review import Field, Region, Session, extent_um
from graticule.workflows.review import Reviewed

IMAGE_WHOLE, IMAGE_PART = 2**26, 2**23
"""Images of up to so many voxels are held whole; of larger ones, a part of about so many around what is in front."""

MARGIN = 1.15
"""What fits on the screen, in frames."""
LINE = 1 / 250
"""Width of the frame's lines, as a share of its side."""
TICK = 1 / 14
"""Length of the four ticks that point at what is in front, as a share of the frame's side."""
LINES = 16
"""Of a frame and its ticks."""
CONTOUR = 2
UM = "um"

CLEAR = (0.0, 0.0, 0.0, 0.0)


class Scene:
    """The layers of one image under review; `remove` takes them away."""

    def __init__(self, viewer: Any, session: Session, reviewed: Reviewed, focus: Focus | None) -> None:
        self.viewer = viewer
        self.session = session
        self.image = reviewed.image
        self._view_um = session.order.view_um
        self._box = Box((0,) * self.image.ndim, (0,) * self.image.ndim)
        self._images: list[Any] = []
        self._rings = None if session.outlined else Rings(session, reviewed.diameters_um)
        self.outlines = Outlines(session) if session.outlined else None
        self._drawing: Any = None
        self._hold_image(self._frame(focus))
        self.proposals = self._add_rings(self._rings) if self._rings is not None else self._add_outlines(focus)
        self._frame_layer = self._add_frame()
        self.show(focus)
        self.front()

    # -- what is shown ---------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Any]:
        """All but what is drawn on."""
        return [*self._images, self.proposals, self._frame_layer]

    def show(self, focus: Focus | None) -> None:
        """Put something in front: centred, framed, in its plane."""
        if focus is None:
            self._frame_layer.visible = False
            return
        self._hold_image(focus.frame_um)
        if self.outlines is not None and self.outlines.show(focus.frame_um):
            self._replace_outlines()
        self._frame_layer.data = self._lines(focus)
        if not self._frame_layer.visible:
            self._frame_layer.visible = True
        for axis, place in enumerate(focus.centre_um[:-2]):
            self.viewer.dims.set_point(axis, place)
        self.viewer.scene.camera.center = (0.0, *focus.centre_um[-2:])

    def zoom_to(self, canvas_px: float) -> None:
        """Let a frame fill the shorter side of the canvas."""
        self.viewer.scene.camera.zoom = max(canvas_px, 1.0) / (MARGIN * self._view_um)

    def update(self, change: Change) -> None:
        """Show what a step changed."""
        if self._rings is not None:
            self._update_rings(self._rings, change.ids)
        elif self.outlines is not None:
            patch = self.outlines.patch(change.ids, change.regions)
            if patch is not None:
                self.proposals.data_setitem(patch.places, patch.values)

    def front(self) -> None:
        """Let keys reach the proposals, unless somebody removed them."""
        if self.proposals in self.viewer.layers:
            self.viewer.layers.selection.active = self.proposals

    def bind(self, keys: Mapping[str, Callable[[Any], None]]) -> None:
        """Let keys act whichever of our layers is active."""
        for layer in self.layers:
            for key, action in keys.items():
                layer.bind_key(key, action, overwrite=True)

    def remove(self) -> None:
        """Take all layers away that are still there."""
        self.stop_drawing()
        for layer in self.layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    # -- drawing ---------------------------------------------------------------------------------------------------------

    def draw(self, number: int, keys: Mapping[str, Callable[[Any], None]]) -> None:
        """A layer to draw an outline on, with that of an object on it; 0 for none. napari's own tools draw."""
        if self._drawing is not None or self.outlines is None:
            return
        if number and self.outlines.hold(self.session.outline(number).box):
            self._replace_outlines()
        mask = self.outlines.of(number) if number else np.zeros(self.outlines.box.shape, bool)
        self._drawing = self.viewer.add_labels(
            mask.astype(np.uint8),
            name="drawing",
            colormap=CyclicLabelColormap(colors=[CLEAR, rgba(DRAWN)]),
            opacity=0.6,
            **self._placed(self.outlines.place, self.outlines.box),
        )
        self._drawing.selected_label = 1
        self._drawing.mode = "paint" if number else "polygon"
        for key, action in keys.items():
            self._drawing.bind_key(key, action, overwrite=True)
        self.viewer.layers.selection.active = self._drawing

    def drawn(self) -> Region | None:
        """What is on that layer."""
        if self._drawing is None or self.outlines is None:
            return None
        return self.outlines.drawn(np.asarray(self._drawing.data) > 0)

    def stop_drawing(self) -> None:
        """Take that layer away."""
        if self._drawing is None:
            return
        if self._drawing in self.viewer.layers:
            self.viewer.layers.remove(self._drawing)
        self._drawing = None
        self.front()

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _frame(self, focus: Focus | None) -> Field:
        """What to begin with: where something is in front, else the image's first corner."""
        if focus is not None:
            return focus.frame_um
        low, _ = extent_um(self.image)
        return low, tuple(a + self._view_um for a in low)

    def _hold_image(self, frame_um: Field) -> None:
        frame = voxels_of(frame_um, self.image)
        box = window_for(frame, self.image.shape, self._box, whole=IMAGE_WHOLE, part=IMAGE_PART)
        if box == self._box:
            return
        self._box = box
        voxels = np.asarray(self.image.crop(box.start, box.stop).data)
        placed = self._placed(self.image, box)
        channels = list(voxels) if self.image.axes.startswith("c") else [voxels]
        if not self._images:
            self._images = [self._add_image(voxels, number, placed) for number, voxels in enumerate(channels)]
            return
        for layer, part in zip(self._images, channels, strict=True):
            layer.data = part
            layer.translate = placed["translate"]

    def _add_image(self, voxels: Array, number: int, placed: Mapping[str, Any]) -> Any:
        name = "image" if not self.image.axes.startswith("c") else f"image, channel {number}"
        return self.viewer.add_image(
            voxels,
            name=name,
            colormap="gray",
            contrast_limits=contrast(voxels),
            blending="additive" if number else "translucent_no_depth",
            rgb=False,
            multiscale=False,
            projection_mode="none",
            **placed,
        )

    def _add_rings(self, rings: Rings) -> Any:
        rows = rings.all()
        layer = self.viewer.add_points(
            np.array([ring.place_um for ring in rows], float).reshape(-1, self.image.ndim),
            name="proposals",
            ndim=self.image.ndim,
            size=np.array([ring.diameter_um for ring in rows], float) if rows else 1.0,
            face_color="transparent",
            border_color=Rings.colours(rows) if rows else STATUS["open"],
            border_width=RING_WIDTH,
            border_width_is_relative=True,
            symbol=[ring.symbol for ring in rows] if rows else SYMBOLS[0],
            units=(UM,) * self.image.ndim,
        )
        layer.editable = False
        if self.image.ndim == 3:
            self._cut_rings(layer, max((ring.diameter_um for ring in rows), default=0.0) / 2)
        return layer

    def _cut_rings(self, layer: Any, reach_um: float) -> None:
        """In a volume, show of each ring what the plane cuts of its ball."""
        layer.projection_mode = "rescale_spherical"
        margin = (reach_um, 0.0, 0.0)
        self.viewer.dims.margin_left, self.viewer.dims.margin_right = margin, margin

    def _update_rings(self, rings: Rings, ids: tuple[int, ...]) -> None:
        if not ids:
            return
        layer = self.proposals
        rows = {rings.row(number): rings.ring(number) for number in dict.fromkeys(ids)}
        places = np.array(layer.data)
        missing = len(rings.rows) - len(places)
        moved = [row for row, ring in rows.items() if row >= len(places) or tuple(places[row]) != ring.place_um]
        if moved:
            places = np.concatenate([places, np.zeros((missing, self.image.ndim))])
            for row in moved:
                places[row] = rows[row].place_um
            layer.data = places
        symbols = {row: ring.symbol for row, ring in rows.items() if str(layer.symbol[row]) != ring.symbol}
        for row, ring in rows.items():
            layer.size[row], layer.shown[row] = ring.diameter_um, ring.shown
            layer.border_color[row] = rgba(ring.colour)
            layer.face_color[row] = CLEAR
        if symbols:
            self._set_symbols(symbols)
        layer.refresh(thumbnail=False, highlight=False, extent=bool(moved))

    def _set_symbols(self, symbols: Mapping[int, str]) -> None:
        every = np.array(self.proposals.symbol)
        for row, symbol in symbols.items():
            every[row] = type(every[row])(symbol)
        self.proposals.symbol = every

    def _add_outlines(self, focus: Focus | None) -> Any:
        assert self.outlines is not None
        self.outlines.show(self._frame(focus))
        colours = [CLEAR, *(rgba(STATUS[status]) for status in CODES), CLEAR]
        layer = self.viewer.add_labels(
            self.outlines.voxels,
            name="proposals",
            colormap=CyclicLabelColormap(colors=colours),
            opacity=0.9,
            **self._placed(self.outlines.place, self.outlines.box),
        )
        layer.contour = CONTOUR
        layer.editable = False
        return layer

    def _replace_outlines(self) -> None:
        assert self.outlines is not None
        self.proposals.data = self.outlines.voxels
        self.proposals.translate = self._placed(self.outlines.place, self.outlines.box)["translate"]

    def _add_frame(self) -> Any:
        lines = self._lines(None)
        return self.viewer.add_vectors(
            lines,
            name="in front",
            edge_width=LINE * self._view_um,
            edge_color=[LIGHT, DARK] * (len(lines) // 2),
            vector_style="line",
            units=(UM, UM),
        )

    def _lines(self, focus: Focus | None) -> Array:
        """Those of `frame_lines`, and two without length that keep the layer's extent, and so spare napari work."""
        low, high = (np.array(corner[-2:]) for corner in extent_um(self.image))
        reach = 3 * TICK * self._view_um
        anchors = [(low - reach, (0, 0)), (high + reach, (0, 0))]
        nothing = np.stack([np.tile(low, (LINES, 1)), np.zeros((LINES, 2))], axis=1)
        lines = nothing if focus is None else frame_lines(focus, self._view_um)
        return np.concatenate([np.array(anchors, float), lines])

    @staticmethod
    def _placed(image: Image, box: Box) -> dict[str, Any]:
        """Where a part of an image lies, for a layer."""
        first = image.to_um(np.array([box.start], float))[0]
        return {"scale": image.spacing_um, "translate": first.tolist(), "units": (UM,) * image.ndim}


def frame_lines(focus: Focus, view_um: float) -> Array:
    """``(16, 2, 2)``: start and direction, ``y, x`` in µm, of the lines of a frame and of ticks around what is in it.

    They come in pairs side by side, a light and a dark one, which show on any grey. Ticks of a field have no length.
    """
    (top, left), (bottom, right) = focus.frame_um[0][-2:], focus.frame_um[1][-2:]
    high, wide, line = bottom - top, right - left, LINE * view_um
    pairs = [
        ((top, left), (0, wide), (-line, 0)),
        ((bottom, left), (0, wide), (line, 0)),
        ((top, left), (high, 0), (0, -line)),
        ((top, right), (high, 0), (0, line)),
    ]
    y, x = focus.centre_um[-2:]
    tick = TICK * view_um if focus.item else 0.0
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        pairs.append(((y + dy * 1.5 * tick, x + dx * 1.5 * tick), (dy * tick, dx * tick), (dx * line, dy * line)))
    lines = []
    for start, along, aside in pairs:
        lines += [(start, along), (np.add(start, aside), along)]
    return np.array(lines, float)

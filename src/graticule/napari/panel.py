"""The panel beside napari's canvas: which folder, what is in front, what a key did, and how far one is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from graticule.errors import GraticuleError
from graticule.napari.colours import STATUS
from graticule.napari.keys import DIGITS, KEYS, Key, keys_for
from graticule.napari.reviewing import Change, Reviewing
from graticule.napari.scene import Scene
from graticule.review import Audit
from graticule.review.audit import Estimate
from graticule.workflows.review import reviewer

LETTER_PX = 15
LARGE = f"font-size: {LETTER_PX}px;"
PLAIN, REFUSED, TOLD = LARGE, f"{LARGE} color: {STATUS['rejected']};", f"{LARGE} color: {STATUS['open']};"
DOTS = {"open": "to decide", "accepted": "accepted", "rejected": "rejected"}


class ReviewPanel(QWidget):
    """Dock of a review; `open` begins one, and keys on the canvas go on with it.

    Attributes
    ----------
    message
        What the last key did; it is shown when the decision is on the disk.
    question
        What is in front.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self._begun: list[Reviewing] = []
        self.destroyed.connect(partial(_let_go, self._begun))
        self.scene: Scene | None = None
        self.folder = QLineEdit(placeholderText="folder of results")
        self.who = QLineEdit(reviewer())
        self.title, self.question, self.message = QLabel(""), QLabel(""), QLabel("")
        self.bar, self.counts, self.estimates, self.legend = QProgressBar(), QLabel(""), QLabel(""), QLabel("")
        self._buttons: dict[str, QPushButton] = {}
        self._lay_out()
        self._bind()
        self.question.setText("Open a folder that graticule predict wrote.")

    # -- opening ---------------------------------------------------------------------------------------------------------

    def open(self, path: str | Path, who: str = "") -> None:
        """Begin the review of a result, or of a folder of them, or go on with it; a refusal is said in the panel."""
        self.close_review()
        self.folder.setText(str(path))
        if who:
            self.who.setText(who)
        try:
            self._begun.append(Reviewing(Path(path), self.who.text()))
        except (GraticuleError, OSError) as error:
            self._say(Change(" ".join(str(error).split()), refused=True))
            return
        self._done(self._begun[0].open_image(0))

    def close_review(self) -> None:
        """Let go of the journal, and take the layers away."""
        if self.scene is not None:
            self.scene.remove()
            self.scene = None
        _let_go(self._begun)

    @property
    def reviewing(self) -> Reviewing | None:
        """The review that is open."""
        return self._begun[0] if self._begun else None

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """When the dock is closed napari takes the panel out of it, and keeps neither: let go of journal and keys."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_review()
            self._unbind()

    # -- steps -----------------------------------------------------------------------------------------------------------

    def step(self, name: str) -> None:
        """What a key or a button does."""
        if self.reviewing is None:
            self._say(Change("found no open review; open a folder of results first", refused=True))
            return
        region = self.scene.drawn() if self.scene is not None else None
        self._done(self.reviewing.step(name, self._cursor_um(), region))

    def choose(self, digit: int) -> None:
        """What a digit does."""
        if self.reviewing is not None:
            self._done(self.reviewing.choose(digit))

    def _cursor_um(self) -> tuple[float, ...]:
        ndim = self.scene.image.ndim if self.scene is not None else 2
        return tuple(float(x) for x in self.viewer.cursor.position[-ndim:])

    def _done(self, change: Change) -> None:
        """Say first what was done: by now it is on the disk. Then show it."""
        self._say(change)
        if change.opened:
            self._show_image()
        elif self.scene is not None:
            self._redraw(self.scene, change)
        self._show_progress()

    def _redraw(self, scene: Scene, change: Change) -> None:
        assert self.reviewing is not None
        drawing = self.reviewing.drawing
        if drawing is None:
            scene.stop_drawing()
        scene.update(change)
        if drawing is not None:
            scene.draw(drawing, self._keys(KEYS))
        elif change.turned:
            scene.show(self.reviewing.focus)

    def _show_image(self) -> None:
        if self.scene is not None:
            self.scene.remove()
            self.scene = None
        reviewing = self.reviewing
        if reviewing is None or reviewing.session is None or reviewing.reviewed is None:
            return
        self.scene = Scene(self.viewer, reviewing.session, reviewing.reviewed, reviewing.focus)
        self.scene.bind({**self._keys(KEYS), **self._digits()})
        self.scene.zoom_to(min(self.viewer.canvas.size))
        self.viewer.canvas.overlays.scale_bar.visible = True
        self._show_keys(reviewing.session.outlined, reviewing.session.kinds)

    # -- keys ------------------------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Also while another layer than ours is active, as far as that has no other use for the key."""
        for key, action in {**self._keys(KEYS), **self._digits()}.items():
            self.viewer.bind_key(key, action, overwrite=True)

    def _unbind(self) -> None:
        for key in (*self._keys(KEYS), *DIGITS):
            self.viewer.bind_key(key, None)

    def _keys(self, keys: tuple[Key, ...]) -> dict[str, Callable[[Any], None]]:
        def press(name: str) -> Callable[[Any], None]:
            return lambda _: self.step(name)

        return {key.key: press(key.step) for key in keys}

    def _digits(self) -> dict[str, Callable[[Any], None]]:
        def press(digit: int) -> Callable[[Any], None]:
            return lambda _: self.choose(digit)

        return {digit: press(int(digit)) for digit in DIGITS}

    # -- what is shown ---------------------------------------------------------------------------------------------------

    def _say(self, change: Change) -> None:
        if not change.said:
            return
        told = self.reviewing is not None and self.reviewing.session is not None and self.reviewing.session.recovered
        style = REFUSED if change.refused else TOLD if change.opened and told else PLAIN
        if self.message.styleSheet() != style:
            self.message.setStyleSheet(style)
        self.message.setText(change.said)

    def _show_progress(self) -> None:
        reviewing = self.reviewing
        if reviewing is None:
            return
        self.question.setText(reviewing.question)
        session, (number, of) = reviewing.session, reviewing.position
        self.title.setText(f"<b>{reviewing.folders[number - 1].name}</b>" + (f" ({number} of {of})" if of > 1 else ""))
        if session is None:
            return
        progress = session.progress
        self._fill_bar(progress.turns_done, progress.turns)
        whole = progress.decided + progress.open
        self.counts.setText(
            f"{progress.decided} of {whole} decided ({progress.accepted} right, {progress.rejected} wrong); "
            f"{progress.turns_done} of {progress.turns} turns"
        )
        self.estimates.setText(estimates(session.audit))

    def _fill_bar(self, done: int, turns: int) -> None:
        """Without Qt's painting the whole window at once for it."""
        self.bar.setUpdatesEnabled(False)
        self.bar.setMaximum(max(1, turns))
        self.bar.setValue(done)
        self.bar.setUpdatesEnabled(True)

    def _show_keys(self, outlined: bool, kinds: tuple[str, ...]) -> None:
        means = {key.step for key in keys_for(outlined)}
        for step, button in self._buttons.items():
            button.setVisible(step in means)
        classes = [f"<b>{n}</b> {kind}" for n, kind in enumerate(kinds[: len(DIGITS)], start=1)]
        dots = [f'<span style="color:{STATUS[s]}">●</span> {word}' for s, word in DOTS.items()]  # type: ignore[index]
        self.legend.setText("&nbsp; ".join(dots) + ("<br>" + "&nbsp; ".join(classes) if len(kinds) > 1 else ""))

    # -- layout ----------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.addLayout(self._row(self.folder, self._button("Choose …", self._choose_folder)))
        column.addLayout(self._row(QLabel("reviewer"), self.who, self._button("Open", self._open_typed)))
        for label in (self.title, self.message, self.question, self.counts, self.estimates, self.legend):
            label.setWordWrap(True)
            label.setTextFormat(
                Qt.TextFormat.RichText if label in (self.title, self.legend) else Qt.TextFormat.PlainText
            )
        self._say(Change(" "))
        self.question.setStyleSheet(LARGE)
        for label, lines in ((self.question, 2), (self.message, 3)):
            label.setMinimumHeight(lines * (LETTER_PX + 6))
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        for widget in (self.title, self.question, self.message, self.bar, self.counts, self.estimates, self.legend):
            column.addWidget(widget)
        column.addLayout(self._key_buttons())
        hint = QLabel("Add what is missing in the frame before you decide: all in it counts as seen.")
        hint.setWordWrap(True)
        column.addWidget(hint)
        column.addStretch(1)
        self.folder.returnPressed.connect(self._open_typed)
        self.who.returnPressed.connect(self._open_typed)

    def _key_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(2)
        places = {key: place for outlined in (False, True) for place, key in enumerate(keys_for(outlined))}
        for key, place in places.items():
            button = self._button(f"{key.key}   {key.words}", lambda _=False, name=key.step: self.step(name))
            button.setStyleSheet("text-align: left; padding: 3px;")
            self._buttons[key.step] = button
            grid.addWidget(button, place // 2, place % 2)
        return grid

    @staticmethod
    def _row(*widgets: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        for widget in widgets:
            row.addWidget(widget)
        return row

    @staticmethod
    def _button(text: str, action: Callable[..., None]) -> QPushButton:
        """One that leaves the keys to the canvas."""
        button = QPushButton(text)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(action)
        return button

    def _choose_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of results", self.folder.text())
        if chosen:
            self.open(chosen)
            self._to_canvas()

    def _open_typed(self) -> None:
        self.open(self.folder.text())
        self._to_canvas()

    def _to_canvas(self) -> None:
        """Keys go to the canvas again, no longer to where one typed."""
        for line in (self.folder, self.who):
            line.clearFocus()
        self.window().setFocus()


def _let_go(begun: list[Reviewing]) -> None:
    """Of journals, so that others may have them."""
    while begun:
        begun.pop().close()


def estimates(audit: Audit) -> str:
    """What the random part says, with 95 % intervals; one estimate a line."""

    def share(name: str, estimate: Estimate | None) -> str:
        if estimate is None:
            return f"{name}: not known yet"
        return f"{name}: {estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"

    missed = audit.missed
    lost = (
        "missed: not known yet"
        if missed is None
        else f"missed: {missed.value:.0f} objects ({missed.low:.0f} to {missed.high:.0f})"
    )
    return "\n".join((share("right", audit.precision), lost, share("found", audit.recall)))

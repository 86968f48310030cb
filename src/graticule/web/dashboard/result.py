"""The right side of the first tab: one result, its sliders, counts and drawings, and what to take home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from graticule.errors import SettingsError
from graticule.report.confidence import draw_confidences
from graticule.report.places import draw_places
from graticule.web.dashboard import fragments
from graticule.web.dashboard.asking import asker, plainly
from graticule.web.dashboard.shell import CHANGED, REFRESH
from graticule.web.house import House
from graticule.web.look import Look
from graticule.workflows.controls import Control, as_flags
from graticule.workflows.tally import Tally, unit_of

FILES = (
    ("csv", "Table (CSV)"),
    ("star", "STAR"),
    ("roi", "ImageJ ROIs"),
    ("geojson", "GeoJSON"),
    ("labels", "Labels (TIFF)"),
    ("overlay", "Overlay (PNG)"),
    ("report", "Report (HTML)"),
    ("all", "All (ZIP)"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """What other tabs may set: which result is shown, the user's name, and which images are chosen."""

    choice: gr.Dropdown
    who: gr.Textbox
    images: gr.Dropdown


def result_column(house: House, images: gr.Dropdown) -> Opened:
    """Build it."""
    with gr.Row():
        choice = gr.Dropdown(label="Result", scale=3)
        who = gr.Textbox(label="Your name", info="For the record of corrections", max_lines=1, scale=1, min_width=160)
    with gr.Tabs():
        with gr.Tab("Picture") as looking:
            picture = gr.HTML(fragments.NOTHING)
        with gr.Tab("Review one by one") as reviewing:
            review = gr.HTML(fragments.NOTHING)
    here = gr.State("")
    with gr.Row():
        with gr.Column(scale=1, min_width=300):

            @gr.render(inputs=[here])  # type: ignore[untyped-decorator]
            def sliders(key: str, request: gr.Request) -> None:
                """One control for each setting that can be moved; made anew for each result."""
                look = _look(house, asker(request), key)
                if look is None:
                    return
                for control in look.controls:
                    _control(house, control, here, [said, counts, take_home], [confidences, places])
                _mask(house, look, asker(request), here, [said, counts, take_home], [confidences, places])

        with gr.Column(scale=1, min_width=300):
            said = gr.HTML()
            counts = gr.HTML()
            take_home = gr.HTML()
    with gr.Row():
        confidences = gr.HTML()
        places = gr.HTML()
    changed = gr.Button("changed", elem_id=CHANGED, visible="hidden")

    @plainly
    def open_result(key: str | None, request: gr.Request) -> list[Any]:
        look = _look(house, asker(request), key or "")
        if look is None or not key:
            return [fragments.NOTHING, "", "", "", "", "", ""]
        job, place = key.split(" ")
        return [fragments.frame(job, int(place)), key, *_words(look, key), *_drawings(look)]

    @plainly
    def corrected(key: str, request: gr.Request) -> list[Any]:
        look = _look(house, asker(request), key)
        return [gr.skip()] * 3 if look is None else _words(look, key)

    @plainly
    def drawn(key: str, request: gr.Request) -> list[Any]:
        look = _look(house, asker(request), key)
        return [gr.skip()] * 2 if look is None else _drawings(look)

    @plainly
    def call(name: str, request: gr.Request) -> None:
        house.call(asker(request), name.strip() or "me")

    @plainly
    def open_review(key: str, request: gr.Request) -> Any:
        look = _look(house, asker(request), key)
        if look is None:
            return fragments.NOTHING
        if not look.correctable:
            return fragments.said("A mask has no single objects to review; move its threshold beside the picture.")
        return fragments.review_frame(look.begin_review(), look.who)

    @plainly
    def move(result: str, setting: str, value: float, request: gr.Request) -> dict[str, float]:
        """For scripts: a setting moved, by its key; the counts that follow."""
        look = _look(house, asker(request), result)
        if look is None:
            raise SettingsError("found no result named; need one, JOB PLACE; see the list of results")
        look.move({setting: value})
        return {tally.kind: tally.count for tally in look.tallies}

    gr.api(move, api_name="move", concurrency_limit=4)  # type: ignore[attr-defined]
    choice.change(open_result, choice, [picture, here, said, counts, take_home, confidences, places], api_name="open")
    changed.click(corrected, here, [said, counts, take_home], show_progress="hidden", api_name="corrected").then(
        drawn, here, [confidences, places], show_progress="hidden", api_visibility="private"
    )
    who.submit(call, who, None, api_name="call").then(fn=None, js=REFRESH)
    who.blur(call, who, None, api_visibility="private")
    reviewing.select(open_review, here, review, api_visibility="private")
    looking.select(corrected, here, [said, counts, take_home], show_progress="hidden", api_visibility="private").then(
        fn=None, js=REFRESH
    )
    return Opened(choice, who, images)


def _control(house: House, control: Control, here: gr.State, words: list[gr.HTML], drawings: list[gr.HTML]) -> None:
    """A slider or choice; of all there are, only the one that is moved counts."""
    label = f"{control.label} ({control.unit})" if control.unit else control.label
    if control.choices:
        shown: Any = gr.Dropdown(list(control.choices), value=control.value, label=label, interactive=control.live)
    else:
        low, high, step = control.low, control.high, control.step
        shown = gr.Slider(low, high, float(control.value), step=step, label=label, interactive=control.live)
    _moves(house, shown, lambda look, _, value: look.move({control.key: value}), here, words, drawings)


def _mask(house: House, look: Look, user: str, here: gr.State, words: list[gr.HTML], drawings: list[gr.HTML]) -> None:
    """Where objects count."""
    choices = house.offers.image_choices(user, "masks")
    now = next((choice for choice in choices.values() if house.offers.file(user, choice, "masks") == look.mask), "")
    every = [("as when it was found", ""), *choices.items()]
    shown = gr.Dropdown(every, value=now, label="Only inside this mask", interactive=True)

    def move(look: Look, user: str, choice: str) -> None:
        look.mask_by(house.offers.file(user, choice, "masks") if choice else None)

    _moves(house, shown, move, here, words, drawings)


def _moves(
    house: House,
    shown: Any,
    does: Callable[[Look, str, Any], None],
    here: gr.State,
    words: list[gr.HTML],
    drawings: list[gr.HTML],
) -> None:
    """When `shown` is moved: first the numbers, then the picture, then the drawings, which nobody waits for."""

    @plainly
    def move(value: float | str, key: str, request: gr.Request) -> list[Any]:
        user = asker(request)
        look = _look(house, user, key)
        if look is None:
            return [gr.skip()] * 3
        does(look, user, value)
        return _words(look, key)

    @plainly
    def drawn(key: str, request: gr.Request) -> list[Any]:
        look = _look(house, asker(request), key)
        return [gr.skip()] * 2 if look is None else _drawings(look)

    moved = shown.input(
        move,
        [shown, here],
        words,
        trigger_mode="always_last",
        show_progress="hidden",
        concurrency_limit=4,
        api_visibility="private",
    )
    moved.then(fn=None, js=REFRESH).then(
        drawn, here, drawings, show_progress="hidden", trigger_mode="always_last", api_visibility="private"
    )


def _look(house: House, user: str, key: str) -> Look | None:
    if not key:
        return None
    job, place = key.split(" ")
    return house.look(user, job, int(place))


def _words(look: Look, key: str) -> list[str]:
    """What is said, the counts, and what to take home with the same on the command line."""
    job, place = key.split(" ")
    kinds = [pair for pair in FILES if look.gives(pair[0])]
    files = fragments.downloads(job, int(place), kinds) + fragments.command(_command(look))
    return [_corrections(look), _counts(look.tallies, look), files]


def _corrections(look: Look) -> str:
    told = look.corrections
    words = [f"{count} {what}" for what, count in told.items() if count]
    lines = [f"Corrected by {look.who}: {', '.join(words)}."] if words else []
    return fragments.lines([*lines, *([look.said] if look.said else [])], "good")


def _counts(tallies: Sequence[Tally], look: Look) -> str:
    unit = unit_of(look.image)
    if not look.correctable:
        sizes = [(t.kind, f"{t.amount:.5g}", f"{t.share:.2%}") for t in tallies]
        return fragments.table(("class", f"size ({unit})", "share of the image"), sizes, name="counts")
    rows = [(t.kind, f"{t.count}", f"{t.amount:.4g}", f"{t.low:.4g} to {t.high:.4g}") for t in tallies]
    return fragments.table(("class", "count", f"per {unit}", "95 % interval (chance)"), rows, name="counts")


def _drawings(look: Look) -> list[str]:
    if not look.correctable:
        return ["", ""]
    sure = draw_confidences(look.confidences, look.thresholds, candidates=not look.outlined)
    where = draw_places(look.standing, look.image)
    return [
        fragments.drawing(sure, "How many candidates have which confidence, by class; dashed: from where they count"),
        fragments.drawing(where, "Where the objects lie"),
    ]


def _command(look: Look) -> list[str]:
    """What finds the same on the command line; corrections by hand are in a table's rows only."""
    models = [Path(str(one.get("file") or one.get("method"))).name for one in look.kept.run["models"]]
    words = ["graticule", "predict", Path(look.kept.run["image"]["file"]).name, "--model", *models]
    reading = look.kept.run.get("read_as") or {}
    if reading.get("spacing_um"):
        words += ["--spacing-um", *(f"{s!r}" for s in reading["spacing_um"])]
    if look.kept.run.get("tta"):
        words += ["--tta"]
    return [*words, *as_flags(look.task, look.kept.task), "-o", "OUT"]

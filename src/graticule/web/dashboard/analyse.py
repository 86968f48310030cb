"""The first tab: images in, a model, what was found, sliders, corrections, files to take home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from graticule.errors import SettingsError
from graticule.web.dashboard import fragments
from graticule.web.dashboard.asking import asker, plainly
from graticule.web.dashboard.result import Opened, result_column
from graticule.web.dashboard.upload import upload_field
from graticule.web.house import House
from graticule.web.intake import IntakeError, Looked, take_in
from graticule.web.job import JobView
from graticule.web.offers import MINE
from graticule.web.orders import PredictOrder, ReadAs
from graticule.web.workspace import Kind

TICK_S = 1.0
LOOKED_AT = 12
"""Images of a large choice that are looked at before the job; the others when it is their turn."""


def analyse_tab(house: House, page: gr.Blocks) -> Opened:
    """Build it; what opens a result, for other tabs."""
    with gr.Tab("Analyse", id="analyse") as tab, gr.Row():
        with gr.Column(scale=1, min_width=320):
            upload = upload_field(label="Add images", file_count="multiple", height=130)
            images = gr.Dropdown(label="Images", multiselect=True, info="Yours, and those of this server")
            facts = gr.HTML()
            size = gr.Textbox(
                label="Pixel size (µm)",
                info="As the images say it; one number, or one for each axis, z first",
                max_lines=1,
            )
            channel = gr.Dropdown(label="Channel", visible=False)
            axes = gr.Textbox(
                label="Axes", info="Which dimension is which, e.g. zyx or cyx", visible=False, max_lines=1
            )
            model = gr.Dropdown(label="Model or method")
            with gr.Accordion("Mask, own model, accuracy", open=False):
                model_upload = upload_field(label="Add a model (.safetensors)", file_types=[".safetensors"], height=110)
                mask = gr.Dropdown(label="Mask", info="Look only where this image is not 0")
                mask_upload = upload_field(label="Add a mask", height=110)
                tta = gr.Checkbox(label="Average over turned and mirrored views (8 times slower)")
            find = gr.Button("Find", variant="primary")
            progress = gr.HTML()
            job = gr.State("")
            timer = gr.Timer(TICK_S, active=False)
        with gr.Column(scale=3, min_width=560):
            opened = result_column(house, images)

    chosen = [images, facts, size, channel, axes]

    @plainly
    def take_images(files: list[str] | None, have: list[str] | None, request: gr.Request) -> list[Any]:
        user = asker(request)
        taken, refused = _taken(house, user, files or [], "images")
        value = [*(have or []), *(f"{MINE}{name}" for name in taken)]
        shown = _facts(house, user, house.offers.single(value)[:LOOKED_AT])
        return [None, gr.update(choices=_pairs(house.offers.image_choices(user)), value=value), *_about(shown, refused)]

    @plainly
    def look(have: list[str] | None, request: gr.Request) -> list[Any]:
        user, choices = asker(request), house.offers.single(have or [])
        said = [f"{len(choices)} images; the first {LOOKED_AT} are shown"] if len(choices) > LOOKED_AT else []
        return _about(_facts(house, user, choices[:LOOKED_AT]), said)

    @plainly
    def take_model(file: str | None, request: gr.Request) -> list[Any]:
        user = asker(request)
        taken, refused = _taken(house, user, [file] if file else [], "models")
        if refused:
            raise SettingsError(refused[0])
        choices = house.offers.model_choices(user)
        value = next((v for v in choices.values() if taken and Path(v).name == taken[0]), None)
        return [None, gr.update(choices=_pairs(choices), value=value)]

    @plainly
    def take_mask(file: str | None, request: gr.Request) -> list[Any]:
        user = asker(request)
        taken, refused = _taken(house, user, [file] if file else [], "masks")
        if refused:
            raise SettingsError(refused[0])
        choices = _masks(house, user)
        return [None, gr.update(choices=choices, value=f"{MINE}{taken[0]}" if taken else None)]

    @plainly
    def start(
        have: list[str] | None,
        size_um: str,
        channel_name: str | None,
        axes_words: str,
        with_model: str | None,
        with_mask: str | None,
        views: bool,
        request: gr.Request,
    ) -> list[Any]:
        user = asker(request)
        order = _order(house, user, have, size_um, channel_name, axes_words, with_model, with_mask, views)
        number = house.jobs.submit(user, order)
        return [number, _progress(house.jobs.get(user, number)), gr.Timer(active=True)]

    @plainly
    def watch(number: str, request: gr.Request) -> list[Any]:
        """Where the job stands; once it is over, its first result is opened."""
        user = asker(request)
        if not number:
            return [gr.skip(), gr.Timer(active=False), gr.skip(), gr.skip()]
        view = house.jobs.get(user, number)
        if view.is_open:
            return [_progress(view), gr.skip(), gr.skip(), gr.skip()]
        choices = results_of(house, user)
        first = next((key for _, key in choices if key.startswith(view.id)), None)
        update = gr.update(choices=choices, value=first) if first else gr.update(choices=choices)
        return [_progress(view), gr.Timer(active=False), "", update]

    @plainly
    def load(request: gr.Request) -> list[Any]:
        """A page that was just opened, or loaded again: what there is, and what was last looked at."""
        user = asker(request)
        choices, models = results_of(house, user), house.offers.model_choices(user)
        running = next((view for view in house.jobs.of(user) if view.is_open and view.lane == "predict"), None)
        return [
            gr.update(choices=_pairs(house.offers.image_choices(user)), value=[]),
            gr.update(choices=_pairs(models), value=next(iter(models.values()), None)),
            gr.update(choices=_masks(house, user), value=""),
            gr.update(choices=choices, value=choices[0][1] if choices else None),
            house.who(user),
            running.id if running else "",
            gr.Timer(active=running is not None),
        ]

    @plainly
    def models(now: str | None, request: gr.Request) -> Any:
        """One may have been learnt meanwhile."""
        choices = house.offers.model_choices(asker(request))
        return gr.update(
            choices=_pairs(choices), value=now if now in choices.values() else next(iter(choices.values()))
        )

    tab.select(models, model, model, show_progress="hidden", api_visibility="private")
    upload.upload(take_images, [upload, images], [upload, *chosen], api_name="add_images")
    images.input(look, images, chosen[1:], show_progress="hidden", api_name="look")
    model_upload.upload(take_model, model_upload, [model_upload, model], api_name="add_model")
    mask_upload.upload(take_mask, mask_upload, [mask_upload, mask], api_name="add_mask")
    find.click(
        start,
        [images, size, channel, axes, model, mask, tta],
        [job, progress, timer],
        show_progress="hidden",
        api_name="find",
    )
    timer.tick(watch, job, [progress, timer, job, opened.choice], show_progress="hidden", api_name="watch")
    page.load(
        load,
        None,
        [images, model, mask, opened.choice, opened.who, job, timer],
        show_progress="hidden",
        api_name="begin",
    )
    return opened


# -- images --------------------------------------------------------------------------------------------------------------


def _taken(house: House, user: str, files: Sequence[str], kind: Kind) -> tuple[list[str], list[str]]:
    """Names of what was taken in, and a line for each that was not; what Gradio kept of them is removed."""
    taken, refused = [], []
    for file in map(Path, files):
        try:
            taken.append(take_in(file, file.name, house.workspace(user), look=house.looker, kind=kind).name)
        except IntakeError as error:
            refused.append(str(error))
        finally:
            file.unlink(missing_ok=True)
    return taken, refused


def _facts(house: House, user: str, choices: Sequence[str]) -> dict[str, Looked]:
    return {choice: house.offers.looked(user, choice) for choice in choices}


def _about(shown: Mapping[str, Looked], refused: Sequence[str]) -> list[Any]:
    """For the table of images, the pixel size, channel and axes."""
    rows = [(key.partition(":")[2], _shape(seen), _size_words(seen)) for key, seen in shown.items()]
    table = fragments.table(("image", "size", "pixel size"), rows, name="images") if rows else ""
    sizes = {seen.spacing_um for seen in shown.values()}
    only = next(iter(sizes)) if len(sizes) == 1 else None
    channels = next((seen.channels for seen in shown.values() if "channel" in seen.needs), ())
    asks_axes = any("axes" in seen.needs for seen in shown.values())
    return [
        fragments.lines(refused, "bad") + table,
        gr.update(value=" ".join(f"{s:.10g}" for s in only) if only else "", placeholder=_placeholder(shown)),
        gr.update(choices=list(channels), value=channels[0] if channels else None, visible=bool(channels)),
        gr.update(visible=asks_axes),
    ]


def _shape(seen: Looked) -> str:
    return f"{' × '.join(map(str, seen.shape))} ({seen.axes}), {seen.dtype}"


def _size_words(seen: Looked) -> str:
    if seen.spacing_um is None:
        return "not known"
    return f"{' × '.join(f'{s:.5g}' for s in seen.spacing_um)} µm"


def _placeholder(shown: Mapping[str, Looked]) -> str:
    unknown = any(seen.spacing_um is None for seen in shown.values())
    return "not known: needed" if unknown else "as each image says" if len(shown) > 1 else ""


def _order(
    house: House,
    user: str,
    have: Sequence[str] | None,
    size_um: str,
    channel: str | None,
    axes: str,
    model: str | None,
    mask: str | None,
    tta: bool,
) -> PredictOrder:
    if not have:
        raise SettingsError("found no image; need at least one; add one, or choose it from the list")
    if not model:
        raise SettingsError("found no model; need one; choose it from the list, or add a model file")
    said = _sizes(size_um)
    choices = house.offers.single(have)
    reading = []
    for choice in choices:
        seen = house.offers.looked(user, choice)
        spacing = None if said is None or said == seen.spacing_um else said
        if seen.spacing_um is None and spacing is None:
            name = choice.partition(":")[2]
            raise SettingsError(
                f"{name}: found no pixel size; need it to give anything in µm; type it under Pixel size"
            )
        told_axes = axes.strip() if "axes" in seen.needs else ""
        reading.append(ReadAs(spacing_um=spacing, channel=_channel(choice, seen, channel), axes=told_axes or None))
    return PredictOrder(
        images=tuple(house.offers.file(user, choice) for choice in choices),
        models=(house.offers.model(user, model),),
        reading=tuple(reading),
        mask=house.offers.file(user, mask, "masks") if mask else None,
        tta=tta,
    )


def _channel(choice: str, seen: Looked, wanted: str | None) -> str | None:
    """The one to look at, of an image that has several."""
    if "channel" not in seen.needs:
        return None
    if wanted not in seen.channels:
        there = ", ".join(seen.channels)
        name = choice.partition(":")[2]
        raise SettingsError(f"{name}: found channels {there}, not {wanted}; need one of them; take such images apart")
    return wanted


def _sizes(words: str) -> tuple[float, ...] | None:
    """Numbers between blanks; None for nothing."""
    plain = words.replace("µm", " ").replace("um", " ").replace("×", " ").split()
    try:
        sizes = tuple(float(word.rstrip(",;").replace(",", ".")) for word in plain if word != "x")
    except ValueError as error:
        raise SettingsError(
            f"found pixel size {words!r}; need one number, or one for each axis, e.g. 0.05 0.01 0.01"
        ) from error
    if any(not 0 < s < 1e6 for s in sizes):
        raise SettingsError(f"found pixel size {words!r}; need micrometres above 0; change it")
    return sizes or None


def _masks(house: House, user: str) -> list[tuple[str, str]]:
    return [("none", ""), *_pairs(house.offers.image_choices(user, "masks"))]


def _pairs(choices: Mapping[str, str]) -> list[tuple[str, str]]:
    return list(choices.items())


# -- the job -------------------------------------------------------------------------------------------------------------


def results_of(house: House, user: str) -> list[tuple[str, str]]:
    """What can be opened, the newest first: words, and ``JOB PLACE``."""
    choices = []
    for view in house.jobs.of(user):
        for place, part in enumerate(view.parts):
            if part.folder is not None:
                choices.append((f"{part.name}: {part.said}", f"{view.id} {place}"))
    return choices


def _progress(view: JobView) -> str:
    parts = view.parts
    failed = [f"{part.name}: {part.line}" for part in parts if part.line]
    lines = fragments.lines(failed, "bad")
    if view.state == "waiting":
        return fragments.bar(0, 0, f"waiting, {view.ahead or 0} before it") + lines
    if view.is_open:
        done = sum(part.state not in ("waiting", "running") for part in parts)
        now = next((part for part in parts if part.state == "running"), None)
        share = now.done / now.total if now is not None and now.total else 0
        words = f"{now.name}: " if now is not None else ""
        words += f"{done + 1} of {len(parts)}" if len(parts) > 1 else "looking"
        return fragments.bar(round(1000 * (done + share)), 1000 * len(parts), words) + lines
    finished = [part for part in parts if part.state == "finished"]
    seconds = sum(part.seconds for part in finished)
    return (
        fragments.said(
            f"{len(finished)} of {len(parts)} done in {seconds:.1f} s" if finished else view.state,
            "good" if finished else "",
        )
        + lines
    )

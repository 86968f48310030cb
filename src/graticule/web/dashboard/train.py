"""The tab for learning: a task, a dataset, and curves to watch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import gradio as gr

from graticule.errors import SettingsError
from graticule.report.curves import training_svg
from graticule.tasks import PRESETS, TASKS
from graticule.web.dashboard import fragments
from graticule.web.dashboard.asking import asker, plainly
from graticule.web.house import House
from graticule.web.job import JobView
from graticule.web.orders import TrainOrder

TICK_S = 1.0
USUAL = "(as usual)"


def train_tab(house: House, page: gr.Blocks) -> None:
    """Build it."""
    with gr.Tab("Train", id="train") as tab, gr.Row():
        with gr.Column(scale=1, min_width=320):
            task = gr.Dropdown(list(TASKS), value=next(iter(TASKS)), label="Task")
            dataset = gr.Dropdown(label="Dataset", info="What you corrected, or a folder of this server")
            preset = gr.Dropdown([USUAL], value=USUAL, label="Preset")
            start = gr.Dropdown(label="Begin with", info="A model of the same task learns faster")
            settings = gr.Textbox(label="Settings", info="One a line, e.g. epochs = [20]", lines=2)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            name = gr.Textbox("model", label="Name of the model", max_lines=1)
            go = gr.Button("Train", variant="primary")
            with gr.Row():
                stop = gr.Button("Stop, and keep the best so far")
                cancel = gr.Button("Cancel")
        with gr.Column(scale=2, min_width=480):
            said = gr.HTML()
            curves = gr.HTML()
            job, timer = gr.State(""), gr.Timer(TICK_S, active=False)

    def presets(kind: str) -> Any:
        return gr.update(choices=[USUAL, *PRESETS.get(kind, {})], value=USUAL)

    @plainly
    def load(request: gr.Request) -> list[Any]:
        user = asker(request)
        sets, models = house.offers.datasets(user), house.offers.model_choices(user)
        begin = [("nothing: from the start", ""), *((k, v) for k, v in models.items() if v.endswith(".safetensors"))]
        newest = next((view for view in house.jobs.of(user) if view.lane == "train"), None)
        return [
            gr.update(choices=list(sets.items()), value=next(iter(sets.values()), None)),
            gr.update(choices=begin, value=""),
            newest.id if newest else "",
            *_shown(newest),
        ]

    @plainly
    def train(
        kind: str,
        folder: str | None,
        named: str,
        begin: str,
        words: str,
        number: float,
        called: str,
        request: gr.Request,
    ) -> list[Any]:
        user = asker(request)
        if folder is None:
            raise SettingsError("found no dataset; need one; correct a result, or have the server started with --root")
        order = TrainOrder(
            task=kind,
            dataset=house.offers.dataset(user, folder),
            name=called.strip() or "model",
            preset=None if named == USUAL else named,
            settings=_settings(words),
            seed=int(number or 0),
            start=house.offers.model_file(user, begin) if begin else None,
        )
        made = house.jobs.submit(user, order)
        return [made, *_shown(house.jobs.get(user, made))]

    @plainly
    def watch(made: str, request: gr.Request) -> list[Any]:
        return _shown(house.jobs.get(asker(request), made) if made else None)

    @plainly
    def end(made: str, request: gr.Request) -> None:
        if made:
            house.jobs.stop(asker(request), made)

    @plainly
    def give_up(made: str, request: gr.Request) -> None:
        if made:
            house.jobs.cancel(asker(request), made)

    shown = [said, curves, timer]
    task.change(presets, task, preset, show_progress="hidden", api_visibility="private")
    go.click(
        train,
        [task, dataset, preset, start, settings, seed, name],
        [job, *shown],
        show_progress="hidden",
        api_name="train",
    )
    stop.click(end, job, None, api_visibility="private").then(
        watch, job, shown, show_progress="hidden", api_visibility="private"
    )
    cancel.click(give_up, job, None, api_visibility="private").then(
        watch, job, shown, show_progress="hidden", api_visibility="private"
    )
    timer.tick(watch, job, shown, show_progress="hidden", api_visibility="private")
    tab.select(load, None, [dataset, start, job, *shown], show_progress="hidden", api_visibility="private")


def _settings(words: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(words)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"found settings that are no TOML ({error}); need lines such as epochs = [10]; mend them"
        ) from error


def _shown(view: JobView | None) -> list[Any]:
    """What is said, the curves, and whether to go on looking."""
    if view is None:
        return ["", "", gr.Timer(active=False)]
    [part] = view.parts
    lines = fragments.said(part.line, "bad") if part.line else ""
    if view.is_open:
        left = f", about {view.seconds_left / 60:.0f} min left" if view.seconds_left else ""
        words = (
            f"epoch {part.done} of {part.total}{left}"
            if part.total
            else "waiting"
            if view.state == "waiting"
            else "reading"
        )
        lines += fragments.bar(part.done, part.total, words)
    elif view.model:
        lines += fragments.said(f"{view.model} is among your models: {part.said or 'ready'}.", "good")
    else:
        lines += fragments.said(view.state)
    drawn = (
        fragments.drawing(training_svg(view.epochs, score=view.figure), "Loss and score by epoch")
        if view.epochs
        else ""
    )
    return [lines, drawn, gr.Timer(active=view.is_open)]

"""The tab of jobs: what waits, runs and is done, with its progress; it outlives the page and the server."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

import gradio as gr

from graticule.web.dashboard import fragments
from graticule.web.dashboard.analyse import results_of
from graticule.web.dashboard.asking import asker, plainly
from graticule.web.dashboard.result import Opened
from graticule.web.house import House
from graticule.web.job import JobView, PartView
from graticule.web.limits import in_words
from graticule.web.workspace import KINDS, Workspace

TICK_S = 1.0
SHOWN = 40
"""Images of a job that are listed."""

WORDS = {
    "waiting": "waits",
    "running": "runs",
    "finished": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "stopped": "stopped",
}


def batch_tab(house: House, page: gr.Blocks, tabs: gr.Tabs, opened: Opened) -> None:
    """Build it; a result that is chosen here is opened in the first tab."""
    with gr.Tab("Jobs", id="jobs") as tab:
        gr.HTML('<p class="g-quiet">Jobs go on when this page is closed, and after a restart of the server.</p>')
        jobs = gr.HTML(js_on_load=fragments.PRESSED)
        with gr.Accordion("Your files on this server", open=False):
            files = gr.HTML(js_on_load=fragments.PRESSED)
        timer = gr.Timer(TICK_S, active=False)

    def listed(request: gr.Request) -> list[Any]:
        views = house.jobs.of(asker(request))
        return [_list(views), gr.Timer(active=any(view.is_open for view in views))]

    @plainly
    def kept(request: gr.Request) -> str:
        return _files(house.workspace(asker(request)))

    @plainly
    def removed(event: gr.EventData, request: gr.Request) -> list[Any]:
        """A file that its user needs no more; jobs of it keep their results."""
        user = asker(request)
        kind, _, name = str(event._data["job"]).partition(":")
        workspace = house.workspace(user)
        for known in KINDS:
            if known == kind:
                workspace.remove(known, name)
        return [_files(workspace), gr.update(choices=list(house.offers.image_choices(user).items()), value=[])]

    @plainly
    def forget(job: str, request: gr.Request) -> str:
        """For scripts: a job that is over, with its results, removed."""
        house.forget(asker(request), job)
        return job

    with tab:
        gr.api(forget, api_name="forget")  # type: ignore[attr-defined]

    @plainly
    def pressed(event: gr.EventData, request: gr.Request) -> list[Any]:
        user, told = asker(request), event._data
        what, job = str(told["what"]), str(told["job"])
        if what == "open":
            choices = results_of(house, user)
            key = next((key for _, key in choices if key.startswith(job)), None)
            return [*listed(request), gr.update(choices=choices, value=key), gr.Tabs(selected="analyse")]
        does = {"cancel": house.jobs.cancel, "stop": house.jobs.stop, "forget": house.forget}[what]
        does(user, job)
        return [*listed(request), gr.update(choices=results_of(house, user)), gr.skip()]

    tab.select(listed, None, [jobs, timer], show_progress="hidden", api_name="jobs").then(
        kept, None, files, show_progress="hidden", api_visibility="private"
    )
    files.click(removed, None, [files, opened.images], show_progress="hidden", api_visibility="private")
    timer.tick(listed, None, [jobs, timer], show_progress="hidden", api_visibility="private")
    page.load(listed, None, [jobs, timer], show_progress="hidden", api_visibility="private")
    jobs.click(pressed, None, [jobs, timer, opened.choice, tabs], show_progress="hidden", api_visibility="private")


def _files(workspace: Workspace) -> str:
    """What a user keeps, with a button each."""
    used = f"{in_words(workspace.used_bytes())} of {in_words(workspace.limits.user_bytes)} used, results included."
    items = [
        f"<li>{fragments.button('remove', f'{kind}:{held.name}', 'Remove')} {escape(held.name)} ({in_words(held.bytes)})</li>"
        for kind in KINDS
        for held in workspace.listing(kind)
    ]
    return f'<p class="g-quiet">{used}</p><ul class="g-files">{"".join(items)}</ul>'


def _list(views: list[JobView]) -> str:
    if not views:
        return '<p class="g-quiet">No jobs yet.</p>'
    return f'<div class="g-jobs">{"".join(map(_job, views))}</div>'


def _job(view: JobView) -> str:
    parts = view.parts
    what = "Training" if view.lane == "train" else "Finding"
    name = parts[0].name if len(parts) == 1 else f"{len(parts)} images"
    when = datetime.fromtimestamp(view.made).strftime("%Y-%m-%d %H:%M")
    head = f"<b>{what}: {escape(name)}</b><span>{when}</span><span>{_state(view)}</span>{''.join(_buttons(view))}"
    rows = "".join(f"<li>{escape(_line(part))}</li>" for part in parts[:SHOWN])
    more = f"<li>and {len(parts) - SHOWN} more</li>" if len(parts) > SHOWN else ""
    inside = f"<header>{head}</header>{_bar(view)}<ul>{rows}{more}</ul>"
    return f'<article class="g-job" data-job="{view.id}" data-state="{view.state}">{inside}</article>'


def _state(view: JobView) -> str:
    if view.state == "waiting" and view.ahead:
        return f"waits, {view.ahead} before it"
    return WORDS[view.state]


def _buttons(view: JobView) -> list[str]:
    if view.is_open:
        stop = [fragments.button("stop", view.id, "Stop, and keep the best so far")] if view.lane == "train" else []
        return [*stop, fragments.button("cancel", view.id, "Cancel")]
    found = any(part.folder is not None for part in view.parts)
    return [
        *([fragments.button("open", view.id, "Open")] if found else []),
        fragments.button("forget", view.id, "Remove"),
    ]


def _bar(view: JobView) -> str:
    if not view.is_open:
        return ""
    done = sum(part.state not in ("waiting", "running") for part in view.parts)
    now = next((part for part in view.parts if part.state == "running"), None)
    share = now.done / now.total if now is not None and now.total else 0
    words = f"{done} of {len(view.parts)}" if len(view.parts) > 1 else f"{share:.0%}"
    return fragments.bar(round(1000 * (done + share)), 1000 * len(view.parts), words)


def _line(part: PartView) -> str:
    told = part.line or part.said or WORDS[part.state]
    return f"{part.name}: {told}"

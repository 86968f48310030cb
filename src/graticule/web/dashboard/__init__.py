"""The dashboard itself, in Gradio: forms, tabs, tables and drawings around our own picture.

Nothing here computes: what a button does is one call of the house, and what it shows comes from there.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is loaded: nothing is told to anybody

import gradio as gr

from graticule.web.dashboard.analyse import analyse_tab
from graticule.web.dashboard.batch import batch_tab
from graticule.web.dashboard.shell import HEAD, STYLE
from graticule.web.dashboard.train import train_tab

if TYPE_CHECKING:
    from fastapi import FastAPI

    from graticule.web.house import House


SENT = ".sent"
"""Where Gradio puts what is sent, until it is taken in."""


def mount_dashboard(app: FastAPI, house: House) -> None:
    """Put the dashboard at the root of `app`, behind what is there already."""
    asyncio.run(_mount(app, house))  # outside a loop Gradio would open some that nobody closes


async def _mount(app: FastAPI, house: House) -> None:
    os.environ["GRADIO_TEMP_DIR"] = str(house.workspaces.folder / SENT)
    page = blocks(house)
    page.has_launched = True  # or its checks of files would not be made
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=house.workspaces.limits.upload_bytes,
        head=HEAD,
        css_paths=[STYLE],
        theme=gr.themes.Base(font=["system-ui", "Noto Sans", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    )


def blocks(house: House) -> gr.Blocks:
    """All tabs."""
    with gr.Blocks(title="Graticule", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as page:
        gr.HTML('<div class="g-title"><h1>Graticule</h1><span>find, count, outline and measure</span></div>')
        with gr.Tabs() as tabs:
            opened = analyse_tab(house, page)
            batch_tab(house, page, tabs, opened)
            train_tab(house, page)
    assert isinstance(page, gr.Blocks)
    return page

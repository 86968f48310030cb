"""A field for files that takes only what was sent to this server.

Gradio's own field takes any path that a request names, and fetches addresses, while its application is mounted in another one:
the check for that is made only where Gradio itself was launched. A stranger could have files of the server read to him.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from graticule.errors import FormatError


def upload_field(**given: Any) -> gr.File:
    """A `gradio.File` with a lock: files that a request names are looked for only where Gradio puts what was sent."""
    field = gr.File(**given)
    field.async_move_resource_to_block_cache = sent  # type: ignore[method-assign, assignment]
    return field


async def sent(path: str | Path | None) -> str | None:
    """Where a file lies that a request names; `FormatError` if it was not sent to this server."""
    if path is None:
        return None
    file, folder = Path(path), Path(get_upload_folder()).resolve()
    if not file.is_file() or file.is_symlink() or not file.resolve().is_relative_to(folder):
        raise FormatError("found a file that was not sent to this server; need an upload; choose the file again")
    return str(file.resolve())

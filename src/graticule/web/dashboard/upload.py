"""A field for files that takes only what was sent to this server.

Gradio's own field takes any path that a request names, and fetches addresses, while its application is mounted in another one:
the check for that is made only where Gradio itself was launched. A stranger could have files of the server read to him.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from graticule.errors import FormatError


class Upload(gr.File):
    """As `gradio.File`, and on the page the same."""

    def get_block_name(self) -> str:
        """Of the component in the browser."""
        return "file"

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Where a file lies that a request names: where Gradio put what was sent, or it is refused."""
        if url_or_file_path is None:
            return None
        file, folder = Path(url_or_file_path), Path(get_upload_folder()).resolve()
        if not file.is_file() or file.is_symlink() or not file.resolve().is_relative_to(folder):
            raise FormatError("found a file that was not sent to this server; need an upload; choose the file again")
        return str(file.resolve())

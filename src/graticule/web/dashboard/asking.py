"""From what Gradio hands to a function to who asks, and from our errors to lines on the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from graticule.errors import GraticuleError
from graticule.web.house import user_of

SHOWN_S = 12.0
"""How long an error stays on the page."""


def asker(request: gr.Request) -> str:
    """The user whose page this is."""
    return user_of(dict(request.cookies))


def plainly(does: Callable[..., Any]) -> Callable[..., Any]:
    """Shows an error of ours as the line it is; others are told on the server, never to the browser."""

    @wraps(does)
    def told(*given: Any, **named: Any) -> Any:
        try:
            return does(*given, **named)
        except GraticuleError as error:
            raise gr.Error(str(error), duration=SHOWN_S, title="Not possible", print_exception=False) from error

    return told

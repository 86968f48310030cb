"""How the dashboard looks, and the few lines that tie its frames to it."""

from __future__ import annotations

from graticule.web.parts import PAGE

CHANGED = "g-changed"
"""Id of a button that nobody sees: the picture presses it when something was corrected."""

REFRESH = """() => {
  const said = { graticule: "refresh" };
  for (const frame of document.querySelectorAll("iframe.g-view")) frame.contentWindow.postMessage(said, location.origin);
}"""
"""Tells the picture to fetch what was found anew."""

HEAD = f"""<link rel="icon" href="view/page/icon.svg">
<script>
addEventListener("message", (event) => {{
  if (event.origin === location.origin && event.data?.graticule === "changed") document.getElementById("{CHANGED}")?.click();
}});
</script>"""

STYLE = PAGE / "dashboard.css"

# Gradio's pages evaluate templates that come with them, hence unsafe-eval; nothing is fetched from, or sent, anywhere else.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)

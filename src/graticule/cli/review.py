"""``graticule review RUN``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common

if TYPE_CHECKING:
    from graticule.cli.voice import Voice
    from graticule.errors import SettingsError

SECRET = "GRATICULE_PASSWORD"
"""Environment variable for the password: what is typed on a command line, others on the machine can read."""


def review(
    run: Path,
    /,
    *,
    who: str = "",
    image: Path | None = None,
    napari: Annotated[bool, Parameter(negative=())] = False,
    audit: float | None = None,
    view_um: float | None = None,
    disagreement: Annotated[bool, Parameter(negative=())] = False,
    host: str = "127.0.0.1",
    port: int = 7861,
    password: Annotated[str, Parameter(env_var=SECRET, show_env_var=False)] = "",
    browser: Annotated[bool, Parameter(negative="--no-browser", show_default=False)] = True,
    common: Common = COMMON,
) -> None:
    """Look at what was found, and decide: right, wrong, moved, of another class, missed.

    Opens a page in your browser, made for the keyboard; every decision is on the disk before it is said to be saved
    (OUT/NAME/review/WHO.jsonl). Stop it with Ctrl-C, go on whenever you like. What is shown first is what is probably
    wrong; in between comes a random part, from which graticule reviewed estimates how much was right and how much missed.

    Parameters
    ----------
    run
        What graticule predict wrote: its --out, or the folder of a single image in it.
    who
        Your name: every reviewer has a record of their own. Unless given, your name on this machine.
    image
        Where the image is now, if it was moved; for the result of a single image.
    napari
        Review in napari instead of a browser.
    audit
        Share of what you are shown that is drawn at random (0.2), for reviews that are begun now.
    view_um
        Side of the field that is shown at once, in µm, for reviews that are begun now; else it follows from the sizes of
        what was found.
    disagreement
        Ask the models that made the result again, under turned and mirrored views, and show first what they disagree on; for
        reviews that are begun now. Takes as long as eight predictions.
    host
        Address to listen at: others than this machine's own need a password.
    port
        0 takes any that is free.
    password
        Lets people in who do not have the address with the key; better given in the environment, as GRATICULE_PASSWORD.
    browser
        With --no-browser the address is only printed.
    """
    from graticule.cli.voice import Voice
    from graticule.workflows.review import results_in, reviewer

    voice, name, share = Voice(common), reviewer(who), 0.2 if audit is None else audit
    moved = _moved(run, image)

    def begin() -> None:
        from graticule.workflows.disagreement import begin_review

        for folder in results_in(run):
            begin_review(
                folder,
                who=name,
                audit=share,
                view_um=view_um or 0.0,
                seed=common.seed,
                ask=disagreement,
                image_file=moved.get(folder.resolve()),
                say=voice.say,
            )

    if napari:
        as_asked = begin if disagreement or audit is not None or view_um is not None else None
        _in_napari(voice, run, name, image, as_asked)
        return
    try:
        from graticule.web.app import review_app
        from graticule.web.desk import Desk, Laid
        from graticule.web.serve import Where, serve
    except ModuleNotFoundError as error:
        raise missing(error, "web") from error
    where = Where(host=host, port=port, password=password)
    if disagreement:
        begin()
    laid = Laid(audit=share, view_um=view_um or 0.0, seed=common.seed)
    desk = Desk([run], laid=laid, images=moved)

    def ready(address: str) -> None:
        voice.show(f"review of {_images(len(desk.folders))} as {name}: {address}")
        voice.say("stop with Ctrl-C; everything that was said to be saved is")
        voice.finish({"address": address, "results": list(desk.folders), "who": name})
        if browser and not common.json:
            show(address)

    try:
        serve(lambda access: review_app(desk, access=access, prefilled=name), where, ready=ready)
    finally:
        desk.close()


def _images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"


def _moved(run: Path, image: Path | None) -> dict[Path, Path]:
    from graticule.errors import SettingsError
    from graticule.workflows.review import results_in

    if image is None:
        return {}
    folders = results_in(run)
    if len(folders) != 1:
        raise SettingsError(
            f"found --image and {len(folders)} results in {run}; need one; name the folder of a single image's result"
        )
    return {folders[0].resolve(): image}


def show(address: str) -> None:
    """In a browser that has a window; one that runs in the terminal would take it over."""
    import os
    import sys
    import threading
    import webbrowser

    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _in_napari(voice: Voice, run: Path, who: str, image: Path | None, begin: Callable[[], None] | None) -> None:
    from graticule.errors import SettingsError
    from graticule.workflows.review import results_in

    if image is not None:
        raise SettingsError("found --image and --napari; need the image where it was; move it back, or use the browser")
    try:
        import napari

        from graticule.napari.launch import open_window
    except ModuleNotFoundError as error:
        raise missing(error, "napari") from error
    if begin is not None:
        begin()
    voice.show(f"review of {_images(len(results_in(run)))} as {who}, in napari")
    open_window(run, who)
    napari.run()


def missing(error: ModuleNotFoundError, extra: str) -> SettingsError:
    """Somebody installed Graticule without the extra; another missing module is our fault."""
    from graticule.errors import SettingsError

    if error.name is None or error.name.startswith("graticule"):
        raise error
    return SettingsError(
        f"found no package {error.name}; need it for this window; run pip install 'graticule[{extra}]'"
    )

"""``graticule web``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common
from graticule.cli.review import SECRET, missing, show

HOME = Path.home() / ".graticule" / "web"


def web(
    *,
    root: Path | None = None,
    models: Path | None = None,
    work: Annotated[Path, Parameter(show_default=False)] = HOME,
    host: str = "127.0.0.1",
    port: int = 7860,
    password: Annotated[str, Parameter(env_var=SECRET, show_env_var=False)] = "",
    upload_mb: float = 4000,
    user_gb: float = 50,
    keep_days: float = 14,
    browser: Annotated[bool, Parameter(negative="--no-browser", show_default=False)] = True,
    common: Common = COMMON,
) -> None:
    """Everything in a browser: upload images, find, move thresholds, correct by hand, train, take tables home.

    Opens a page in your browser, for you alone; with --password, for others too, each of whom has a folder of their own.
    Stop it with Ctrl-C; what was under way goes on when it is started again.

    Parameters
    ----------
    root
        A folder of this machine whose images and datasets may be pointed at, besides what is uploaded: nothing outside it.
    models
        A folder of models (.safetensors) that everybody may use.
    work
        Where uploads and results are kept, each user's in a folder of their own (.graticule/web in your home).
    host
        Address to listen at: others than this machine's own need a password.
    port
        0 takes any that is free.
    password
        Lets people in who do not have the address with the key; better given in the environment, as GRATICULE_PASSWORD.
    upload_mb
        Largest file that may be uploaded, in MB.
    user_gb
        How much one user may keep, in GB.
    keep_days
        Users who did not come back for so long are forgotten, with all they had.
    browser
        With --no-browser the address is only printed.
    """
    from graticule.cli.voice import Voice
    from graticule.web.limits import GB, MB, Limits

    voice = Voice(common)
    try:
        from graticule.web.host import dashboard
        from graticule.web.serve import Where, serve
    except ModuleNotFoundError as error:
        raise missing(error, "web") from error
    limits = Limits(upload_bytes=int(upload_mb * MB), user_bytes=int(user_gb * GB), keep_days=keep_days)
    where = Where(host=host, port=port, password=password)
    made = dashboard(work, limits, root=root, models=models)

    def ready(address: str) -> None:
        voice.show(f"dashboard: {address}")
        voice.say(f"stop with Ctrl-C; uploads and results are in {work}")
        voice.finish({"address": address, "work": str(work)})
        if browser and not common.json:
            show(address)

    serve(made, where, ready=ready)

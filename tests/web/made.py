"""A house for tests: real folders, a real queue, and workers that do their errands in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graticule import io
from graticule.errors import GraticuleError
from graticule.image import Image
from graticule.web import errands
from graticule.web.house import House
from graticule.web.intake import take_in
from graticule.web.jobs import Jobs
from graticule.web.limits import Limits
from graticule.web.offers import Offers
from graticule.web.orders import PredictOrder
from graticule.web.places import Root
from graticule.web.worker import RefusedError
from graticule.web.workspace import Workspaces, new_user

DOES = {
    "look": errands.look,
    "look at model": errands.look_at_model,
    "predict": errands.predict,
    "train": errands.train,
}


class Here:
    """What a `Worker` does, without a process: nothing can be cancelled, and memory is not limited."""

    def do(self, errand: str, order: Mapping[str, Any] | None = None, *, heard=None, **_: Any) -> dict[str, Any]:
        if errand not in DOES:
            return {}
        try:
            return DOES[errand]({**(order or {}), "memory": None}, heard or (lambda _: None))
        except GraticuleError as error:
            raise RefusedError(str(error)) from error

    def end(self, ticket: object) -> None:
        pass

    def close(self) -> None:
        pass


def house_in(folder: Path, *, root: Path | None = None, models: Path | None = None, **limits: Any) -> House:
    """One that is empty."""
    workspaces = Workspaces(folder, Limits(**limits))
    workers: Any = {"predict": Here(), "train": Here()}
    looker: Any = Here()
    return House(workspaces, Jobs(workspaces, workers=workers), looker, Offers(workspaces, Root(root), looker, models))


def uploaded(house: House, user: str, image: Image, name: str, folder: Path) -> Path:
    """An image, taken in as if it had been sent."""
    file = folder / "sent" / name
    file.parent.mkdir(exist_ok=True)
    io.write(image, file)
    looker: Any = house.looker
    return take_in(file, name, house.workspace(user), look=looker).file


def done(house: House, user: str, order: PredictOrder, seconds: float = 60) -> str:
    """A job that is over."""
    job = house.jobs.submit(user, order)
    end = time.monotonic() + seconds
    while house.jobs.get(user, job).is_open:
        assert time.monotonic() < end, "the job takes too long"
        time.sleep(0.02)
    return job


__all__ = ["Here", "done", "house_in", "new_user", "uploaded"]

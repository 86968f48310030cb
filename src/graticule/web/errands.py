"""What a worker's process does: looks at an upload, predicts, trains; see `worker`, which starts it.

Orders come as lines of JSON on standard input, and answers go out on standard output. It ends with the server: when its
input ends.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from graticule.errors import CheckpointError, FormatError, GraticuleError, MemoryLimitError
from graticule.io import Scan, describe
from graticule.io.channels import COLOURS
from graticule.io.lazy import Finite
from graticule.io.scan import check_is_file, reading, renamed, to_image
from graticule.web.limits import in_words

Order = Mapping[str, Any]
Tell = Callable[[dict[str, Any]], None]

WINDOW_PX = 64
"""Side of the piece that is decoded of an upload."""

TELL_EVERY_S = 0.1

RANDOM = ("normal_", "uniform_")
"""What fills new layers."""

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "Unable to allocate")
"""How torch and NumPy put it."""


# -- looking at uploads --------------------------------------------------------------------------------------------------


def look(order: Order, tell: Tell) -> dict[str, Any]:
    """What the image in `file` says of itself, once a piece of it could be decoded; at most `image_bytes` of pixels.

    ``needs`` names what has to be asked for: ``spacing``, ``axes``, ``channel``.
    """
    file = Path(order["file"])
    check_is_file(file)
    with reading(file, "image"), _memory_limited(order["memory"]):
        _refuse_parts_elsewhere(file)
        scan = describe(file)
        size = int(np.prod(scan.data.shape, dtype=object)) * np.dtype(scan.data.dtype).itemsize
        if size > order["image_bytes"]:
            raise FormatError(
                f"{file}: found an image of {in_words(size)}; need at most {in_words(order['image_bytes'])}; crop it, or "
                "ask for it to be put where this server may read it"
            )
        needs = _needs(scan, file)
        _decode_last(scan, file)
    return {
        "axes": scan.axes,
        "shape": list(scan.data.shape),
        "dtype": str(scan.data.dtype),
        "spacing_um": None if scan.spacing_um is None else list(scan.spacing_um),
        "sizing": scan.notes[0],
        "channels": _channels(scan),
        "bytes_decoded": size,
        "notes": list(scan.notes[1:]),
        "needs": needs,
    }


def _needs(scan: Scan, file: Path) -> list[str]:
    """What has to be asked for; refuses what no answer would make an image of: NaN, no pixels, channels and colours."""
    needs = [] if scan.spacing_um is not None else ["spacing"]
    if not set(scan.axes) <= set("czyxs") or not {"y", "x"} <= set(scan.axes):
        needs.append("axes")
        scan = _with_some_axes(scan, file)
    try:
        to_image(scan, file, spacing_um=(1.0,))
    except FormatError:
        if not {"c", "s"} & set(scan.axes):
            raise
        to_image(scan, file, spacing_um=(1.0,), channel="0")
        needs.append("channel")
    return needs


def _with_some_axes(scan: Scan, file: Path) -> Scan:
    """With a meaning that the unknown dimensions could have, to see what else is wrong."""
    if {"y", "x"} <= set(scan.axes):
        unused = iter([axis for axis in ("z" if "s" in scan.axes else "zc") if axis not in scan.axes])
        names = "".join(axis if axis in "czyxs" else next(unused, axis) for axis in scan.axes)
    else:
        names = "czyx"[-len(scan.axes) :]
    return renamed(scan, names, file) if set(names) <= set("czyxst") and len(names) == len(scan.axes) else scan


def _channels(scan: Scan) -> list[str]:
    """Names to choose from, numbers where there are none."""
    at = max(scan.axes.find("c"), scan.axes.find("s"))
    if at < 0:
        return []
    count = scan.data.shape[at]
    if scan.axes[at] == "s" and count in (3, 4):
        return list(COLOURS)
    return list(scan.channels) if len(scan.channels) == count else [str(number) for number in range(count)]


def _decode_last(scan: Scan, file: Path) -> None:
    """What was cut off or damaged mostly shows at the end."""
    near = {"y": WINDOW_PX, "x": WINDOW_PX, "s": scan.data.shape[-1]}
    key = tuple(slice(max(0, n - near.get(axis, 1)), n) for axis, n in zip(scan.axes, scan.data.shape, strict=True))
    data = Finite(scan.data, str(file)) if np.dtype(scan.data.dtype).kind == "f" else scan.data
    np.asarray(data[key])


def _refuse_parts_elsewhere(file: Path) -> None:
    """A file of a stranger could name files of this server as parts of itself, and show what is in them."""
    suffix = file.suffix.lower()
    if suffix in (".tif", ".tiff"):
        elsewhere = _tiff_parts(file)
    elif suffix in (".h5", ".hdf5"):
        elsewhere = _hdf5_parts(file)
    else:
        return
    if elsewhere:
        raise FormatError(f"{file}: found parts of the image in other files; need all in one; save it as a single TIFF")


def _tiff_parts(file: Path) -> bool:
    import tifffile

    with file.open("rb") as start:
        if start.read(2) not in (b"II", b"MM"):
            return False  # said better by its reader
    with tifffile.TiffFile(file) as opened:
        return any(page is not None and page.parent is not opened for series in opened.series for page in series.pages)


def _hdf5_parts(file: Path) -> bool:
    import h5py

    if not h5py.is_hdf5(file):
        return False
    with h5py.File(file, "r") as opened:
        found = False

        def visit(name: str, node: Any) -> None:
            nonlocal found
            if isinstance(node, h5py.Dataset):
                found = found or bool(node.external) or node.is_virtual
            else:
                found = found or _has_link_out(node)

        opened.visititems(visit)
        return found or _has_link_out(opened)


def _has_link_out(group: Any) -> bool:
    import h5py

    return any(isinstance(group.get(name, getlink=True), h5py.ExternalLink) for name in group)


def look_at_model(order: Order, tell: Tell) -> dict[str, Any]:
    """What the model in `file` is for and where it came from, once its weights are those of its network."""
    import torch  # noqa: F401 (before there is little memory)

    from graticule.workflows.inspect import about_model

    file = Path(order["file"])
    try:
        with _memory_limited(order.get("memory")):
            facts = about_model(file)
            _check_weights(file)
            return facts
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:  # a header that is none of ours
        if isinstance(error, GraticuleError):
            raise
        raise CheckpointError(
            f"{file}: found no Graticule model, or a damaged one ({type(error).__name__}); give a file made by training"
        ) from error


def _check_weights(file: Path) -> None:
    """Compared with a network of shapes alone, which takes no memory, however large it pretends to be."""
    import torch
    from torch.overrides import TorchFunctionMode

    from graticule.checkpoint import Checkpoint

    class Unfilled(TorchFunctionMode):
        """Shapes need no random numbers; asked for them all the same, torch would load its compiler, for seconds."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = {**dict(enumerate(args)), **(kwargs or {})}
            if getattr(func, "__name__", "") in RANDOM:
                return next(iter(given.values()))
            return func(*args, **(kwargs or {}))

    model = Checkpoint.load(file)
    network = getattr(model.task, "network", None)
    if network is None:
        return
    with torch.device("meta"), Unfilled():
        wanted = {name: tuple(tensor.shape) for name, tensor in network().state_dict().items()}
    given = {name: tuple(np.shape(weight)) for name, weight in model.weights.items()}
    if wanted.items() - given.items():
        raise CheckpointError(
            f"{file}: found weights of another network than its settings say; need those of one; give a file made by training"
        )


# -- predicting ----------------------------------------------------------------------------------------------------------


def predict(order: Order, tell: Tell) -> dict[str, Any]:
    """What `predict_file` does for one image; goes on with what an earlier run of the same order left."""
    from graticule.inference.store import begun
    from graticule.io import image_name
    from graticule.workflows.predict_files import Job, Reading, check_job, load_models, predict_file
    from graticule.workflows.results import unfinished

    file, out = Path(order["file"]), Path(order["out"])
    files = tuple(Path(name) for name in order["models"])
    job = Job(
        models=load_models(files, order["thresholds"], order["settings"]),
        files=files,
        out=out,
        reading=Reading(**{name: _tuples(value) for name, value in order["reading"].items()}),
        mask=None if order["mask"] is None else Path(order["mask"]),
        mask_margin_nm=order["mask_margin_nm"],
        tta=order["tta"],
        seed=order["seed"],
        resume=begun(unfinished(out / image_name(file))) > 0,
        keep_maps=True,
    )
    check_job(job, [file])
    done = predict_file(file, job, _sparingly(lambda done, total: tell({"done": done, "total": total})))
    return {"folder": str(done.folder), "counts": dict(done.counts), "said": done.said, "seconds": done.seconds}


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sparingly(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Not more often than anybody looks; the last always."""
    last = 0.0

    def say(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last > TELL_EVERY_S:
            last = now
            tell(done, total)

    return say


# -- training ------------------------------------------------------------------------------------------------------------


def train(order: Order, tell: Tell) -> dict[str, Any]:
    """What ``graticule train`` does; goes on where an earlier run of the same order was stopped."""
    from graticule.checkpoint import Checkpoint
    from graticule.io.dataset import load
    from graticule.workflows.choose_settings import choose, task_kind
    from graticule.workflows.cross_validate import called
    from graticule.workflows.examples import examples_for
    from graticule.workflows.inspect import about_model
    from graticule.workflows.provenance import about_dataset
    from graticule.workflows.train import train as train_model

    dataset, out = Path(order["dataset"]), Path(order["out"])
    read = load(dataset, spacing_um=_tuples(order["spacing_um"]), channel=order["channel"])
    begun = None if order["start"] is None else Checkpoint.load(Path(order["start"]))
    task = choose(
        task_kind(order["task"]),
        read,
        order["settings"],
        preset=order["preset"],
        start=None if begun is None else begun.task,
    )
    examples = examples_for(task, read)
    total = sum(phase.epochs for phase in task.resolve(examples).recipe.phases)
    tell({"epochs": total, "figure": called(task), "images": len(examples)})
    model = train_model(
        task,
        examples,
        out,
        seed=order["seed"],
        start=begun,
        resume=out.with_name(f"{out.name}.training").is_file(),
        provenance=about_dataset(dataset, read),
        watch=lambda epoch, seconds_left: tell({"epoch": asdict(epoch), "seconds_left": seconds_left}),
    )
    return {"model": about_model(out), "history": list(model.made_by["history"])}


# -- the process ---------------------------------------------------------------------------------------------------------


def warm(order: Order, tell: Tell) -> dict[str, Any]:
    """Loads what the other errands need, so that the first of them begins at once."""
    import graticule.workflows.predict_files
    import graticule.workflows.train  # noqa: F401

    return {}


ERRANDS: dict[str, Callable[[Order, Tell], dict[str, Any]]] = {
    "look": look,
    "look at model": look_at_model,
    "predict": predict,
    "train": train,
    "warm": warm,
}


def main() -> None:
    """Do errands until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to the server's log, not among the answers
    warnings.simplefilter("ignore")
    _be_the_first_to_go()
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    lock = threading.Lock()

    def say(words: Mapping[str, Any]) -> None:
        with lock:
            answers.write(json.dumps(words).encode() + b"\n")
            answers.flush()

    while True:
        order = orders.get()
        answer = _done(order, lambda told: say({"told": told}))
        gc.collect()
        say({**answer, "resident": _resident_bytes()})


def _listen(lines: BinaryIO, orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Without the server nobody wants the answer: the process ends, in the middle of an errand as well."""
    for line in lines:
        if line.endswith(b"\n"):
            orders.put(json.loads(line))
    os._exit(0)


def _done(order: Order, tell: Tell) -> dict[str, Any]:
    """The answer, or why there is none. After an error that nobody foresaw, or without memory, the process is `worn`."""
    try:
        return {"answer": ERRANDS[order["errand"]](order["order"], tell)}
    except MemoryLimitError as error:
        return {"refused": _one_line(error), "worn": True}
    except GraticuleError as error:
        return {"refused": _one_line(error)}
    except Exception as error:
        said = _foreseen(error)
        if said:
            return {"refused": said, "worn": True}
        return {"fault": type(error).__name__, "traceback": traceback.format_exc(), "worn": True}


def _foreseen(error: Exception) -> str:
    """What is to be said where memory, disk or a file let us down; empty for other errors."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return "found more to do at once than there is memory for; need a smaller image; crop it"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "found the server's disk full; need room; remove results that you have downloaded"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: could not be opened ({error.strerror}); need a file that is there; choose another"
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _memory_limited(more: int | None) -> Iterator[None]:
    """At most `more` bytes on top of what there is. Files that are mapped to be read do not count, nor what CUDA reserves."""
    taken = _of_status("VmData")
    if more is None or taken is None:
        yield
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _resident_bytes() -> int:
    return _of_status("VmRSS") or 0


def _of_status(name: str) -> int | None:
    """Bytes; None where the system does not say (it is Linux that does)."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _be_the_first_to_go() -> None:
    """Where the system runs out of memory, it shall end this process rather than the server."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")


if __name__ == "__main__":
    main()

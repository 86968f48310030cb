"""The commands and their one-line summaries; how a run ends.

Exit codes: 0 done; 2 the input is at fault (one line says what was found, needed, and what to do); 1 we are;
130 stopped.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from graticule.errors import GraticuleError

# torch's threads otherwise spin while they wait for each other, and beside any other busy program training then takes
# twenty times as long (measured on 2 cores: 91 s an epoch instead of 4). It has to be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

DONE, OUR_FAULT, YOUR_INPUT, STOPPED = 0, 1, 2, 130

ABOUT = """Find, count and measure structures in micrographs from a few annotated examples.

A first round: graticule demo. With your own images: check, train, predict, evaluate.
"""

COMMANDS = {
    "demo": "See it work: simulate, train, predict and evaluate, in a few minutes, on any laptop.",
    "info": "What a file says of itself: axes, size, pixel size, and what is missing. Reads model files, too.",
    "convert": "Copy an image of any size into another format: TIFF, OME-Zarr, HDF5 or MRC.",
    "check": "Everything that is wrong with an annotated dataset, at once, before you wait for anything.",
    "simulate": "Make images whose contents are known exactly, as a dataset to try things on.",
    "train": "Learn from annotated images: one model file.",
    "tune": "Search for the settings that learn best; stop it whenever you like, it goes on.",
    "predict": "Find what a model was made for, in your images: a folder of results for each.",
    "review": "Look at what was found and decide, in a browser or in napari: nothing is lost.",
    "reviewed": "What was decided in reviews, what that proves, and a dataset to learn from.",
    "evaluate": "How right a model is on annotated images that it has not seen.",
    "cross-validate": "How right a model will be on the next specimen: each is held out once.",
    "web": "All of this in a browser: upload, find, move thresholds, correct, train, take tables home.",
    "report": "A page about a run, to keep and to send: counts, certainty, how it was made, a methods paragraph.",
    "explain": "What a model's answers hang on: maps for some of the objects it finds, and what they are worth.",
    "export": "What was found, as a reviewer left it, for other programs: CSV, STAR, ImageJ, GeoJSON, labels …",
    "subvolumes": "Every particle that was found as a small image of its own, for averaging.",
}
"""By name, in the order in which they are met; each is the function or app of its name in its own file."""


def _version() -> str:
    import graticule

    return f"graticule {graticule.__version__}"


def make_app() -> App:
    """All commands; none is imported before it is asked for."""
    app = App(
        name="graticule",
        help=ABOUT,
        version=_version,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,  # it would end the process itself, with a line of its own
    )
    for place, (name, summary) in enumerate(COMMANDS.items()):
        module = name.replace("-", "_")
        app.command(f"graticule.cli.{module}:{module}", name=name, help=summary, sort_key=place)
    return app


def main() -> NoReturn:
    """Run the command line that this process was started with."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    honest = "--traceback" in words
    if not honest:
        warnings.simplefilter("ignore")  # of other people's packages; what we have to say is in errors and results
    try:
        code = make_app()(list(words), exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        return _ended(STOPPED, "stopped", words)
    except BrokenPipeError:  # whoever reads our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if honest:
            raise
        if _is_the_inputs_fault(error):
            return _ended(YOUR_INPUT, _in_words(error), words)
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
        said = f"this is our fault, not yours: {fault}; please report it, with what --traceback shows"
        return _ended(OUR_FAULT, said, words)
    return code if isinstance(code, int) else DONE


def _is_the_inputs_fault(error: Exception) -> bool:
    """An OSError that names a file is: it is missing, a folder, not readable, or its disk is full."""
    if isinstance(error, GraticuleError | CycloptsError):
        return True
    return isinstance(error, OSError) and error.filename is not None


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; give a file or folder that exists and that you may use"
    if isinstance(error, CycloptsError):
        return " ".join(str(error).split())
    return str(error)


def _ended(code: int, message: str, words: Sequence[str]) -> int:
    print(f"graticule: {message}", file=sys.stderr)
    if "--json" in words:
        print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False))
    return code

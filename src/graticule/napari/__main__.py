"""``python -m graticule.napari OUT``: napari, with the review of a folder of results."""

from __future__ import annotations

import argparse


def main() -> None:
    """Open a window, and wait until it is closed."""
    parser = argparse.ArgumentParser(prog="python -m graticule.napari", description=__doc__)
    parser.add_argument(
        "out", nargs="?", default="", help="what graticule predict wrote: OUT, or OUT/NAME of one image"
    )
    parser.add_argument("--who", default="", help="reviewer's name; unless given, yours on this machine")
    given = parser.parse_args()
    import napari

    from graticule.napari.launch import open_window

    open_window(given.out, given.who)
    napari.run()


if __name__ == "__main__":
    main()

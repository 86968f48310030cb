"""``graticule report RUN``."""

from __future__ import annotations

from pathlib import Path

from graticule.cli.options import COMMON, Common


def report(run: Path, /, *, common: Common = COMMON) -> None:
    """Write report.html anew: what was found, how sure that is, how it was made, and a paragraph for the paper.

    predict, evaluate and cross-validate write it themselves; after a review, write it again. It is one file that needs
    nothing else, and opens without a network.

    Parameters
    ----------
    run
        What predict (OUT, or OUT/NAME for one image), evaluate or cross-validate wrote.
    """
    from graticule.cli.voice import Voice
    from graticule.workflows.report import runs_in, write_report

    voice = Voice(common)
    written = []
    for folder in runs_in(run):
        written.append(write_report(folder))
        voice.show(f"{written[-1]}")
    voice.finish({"reports": [str(path) for path in written]})

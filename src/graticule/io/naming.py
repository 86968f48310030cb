"""Names that are not known, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unknown(what: str, found: str, known: Sequence[str]) -> str:
    """A refusal of a name that is not among the `known` ones, with the nearest of them."""
    near = difflib.get_close_matches(found, known, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "correct it, or add it to the list"
    return f"found {what} {found!r}; need one of {', '.join(known) or 'none at all'}; {hint}"

"""Networks that halve their input, on inputs of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional


def padded(body: Callable[[Tensor], Tensor], x: Tensor, multiple: int | Sequence[int]) -> Tensor:
    """What `body` makes of ``(B, C, *space)``, filled up with 0 at its far ends to multiples of `multiple` and cut again.

    `multiple` is one for all axes, or one for each.
    """
    size = x.shape[2:]
    multiples = [multiple] * len(size) if isinstance(multiple, int) else multiple
    missing = [-n % m for n, m in zip(size, multiples, strict=True)]
    padding = [amount for n in reversed(missing) for amount in (0, n)]
    out = body(functional.pad(x, padding) if any(missing) else x)
    for axis, n in enumerate(size, start=2):
        out = out.narrow(axis, 0, n)
    return out

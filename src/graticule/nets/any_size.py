"""Networks that halve their input, on inputs of any size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def padded(body: nn.Module, x: Tensor, multiple: int) -> Tensor:
    """What `body` makes of ``(B, C, *space)``, filled up with 0 at its far ends to multiples of `multiple` and cut again."""
    size = x.shape[2:]
    missing = [-n % multiple for n in size]
    padding = [amount for n in reversed(missing) for amount in (0, n)]
    out: Tensor = body(functional.pad(x, padding) if any(missing) else x)
    for axis, n in enumerate(size, start=2):
        out = out.narrow(axis, 0, n)
    return out

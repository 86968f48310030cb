import pytest
import torch
from torch import nn

from graticule.nets.any_size import padded


class Halving(nn.Module):
    """Halves and doubles again, as U-Nets do: sides have to be even."""

    def forward(self, x):
        self.seen = tuple(x.shape[2:])
        assert all(n % 2 == 0 for n in self.seen)
        return nn.functional.interpolate(x[..., ::2, ::2], scale_factor=2)


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (7, 3), (1, 1)])
def test_any_size_goes_in_and_the_same_comes_out(size):
    x = torch.randn(2, 3, *size)
    body = Halving()
    out = padded(body, x, 2)
    assert out.shape == x.shape
    assert body.seen == tuple(n + n % 2 for n in size)
    torch.testing.assert_close(out[..., ::2, ::2], x[..., ::2, ::2])

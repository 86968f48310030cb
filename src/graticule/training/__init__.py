"""Learning a task from examples."""

from graticule.training.fit import Epoch, Fitted, Ready, examine, fit

__all__ = ["Epoch", "Fitted", "Ready", "examine", "fit"]

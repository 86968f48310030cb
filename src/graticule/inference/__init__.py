"""Running a task over an image of any size."""

from graticule.inference.augment import averaged, in_steps, symmetric
from graticule.inference.plan import Plan, make_plan
from graticule.inference.run import run

__all__ = ["Plan", "averaged", "in_steps", "make_plan", "run", "symmetric"]

"""The few ways a user can be told no.

Each message says what was found, what is needed, and what to do. The command line prints it as one line and exits with 2.
"""

from __future__ import annotations


class GraticuleError(Exception):
    """Base of every error that the input, not the program, is to blame for."""


class FormatError(GraticuleError, ValueError):
    """A file is not what its name says, is damaged, or holds something unsupported."""


class SpacingError(GraticuleError, ValueError):
    """An image does not say how large its voxels are, or says something impossible."""


class AnnotationError(GraticuleError, ValueError):
    """Points or labels have no unit, lie outside their image, or contradict it."""


class DatasetError(GraticuleError, ValueError):
    """A dataset folder is incomplete, or would let training see what it is tested on."""


class SettingsError(GraticuleError, ValueError):
    """A setting is unknown or has an impossible value."""


class CheckpointError(GraticuleError, ValueError):
    """A model file is incomplete, damaged, or from another version."""


class MemoryLimitError(GraticuleError, ValueError):
    """The work does not fit the memory it was given."""


class StoreError(GraticuleError, OSError):
    """A result could not be written, or an unfinished one is not of this run."""

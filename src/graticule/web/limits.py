"""How much of a server each of its users may have."""

from __future__ import annotations

from dataclasses import dataclass, fields

from graticule.errors import SettingsError

MB, GB = 10**6, 10**9


def in_words(count: int) -> str:
    """Bytes, as people say it.

    >>> in_words(1_500_000), in_words(2_000_000_000), in_words(17)
    ('1.5 MB', '2 GB', '17 bytes')
    """
    for size, unit in ((GB, "GB"), (MB, "MB"), (1000, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All of them are above 0.

    Attributes
    ----------
    upload_bytes
        Of one file that is uploaded.
    image_bytes
        Of one image's pixels, as the file declares them.
    user_bytes
        Of all that one user keeps: uploads, models and results.
    keep_days
        Users who did not come back for so long are forgotten.
    upload_hours
        A file that is half uploaded is given up after so long.
    look_bytes, look_seconds
        Memory and time for reading what was uploaded.
    grown_bytes
        A worker that has grown beyond this is replaced by a new one when it has done its work.
    waiting_jobs, batch_images
        Jobs of one user that wait or run, and images in one of them.
    """

    upload_bytes: int = 8 * GB
    image_bytes: int = 64 * GB
    user_bytes: int = 50 * GB
    keep_days: float = 14.0
    upload_hours: float = 6.0
    look_bytes: int = 4 * GB
    look_seconds: float = 60.0
    grown_bytes: int = 6 * GB
    waiting_jobs: int = 20
    batch_images: int = 1000

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise SettingsError(f"found {field.name} {getattr(self, field.name)}; need a number above 0; change it")

"""How fast the machine is while something else is measured on it, by one fixed piece of work.

The work is simplejpeg's decoding of a 320×240 JPEG at a quarter of its scale, now and then, beside
what is measured. A machine that is slower than the one that the targets are set for, or does other
work as well, takes longer for it by the factor by which it takes longer for a post.
"""

import time
from statistics import median
from typing import Final

import simplejpeg

TARGETS_US: Final = 166.0
"""On the machine of the targets (docs/decisions/0035)."""

SIDE: Final = 56
"""The smallest side that is asked for; of libjpeg's scales a quarter is the first to reach it."""


class Yardstick:
    """Takes a picture, and the CPU time of decoding it now and then."""

    def __init__(self, picture: bytes) -> None:
        self._picture = picture
        self._taken_us: list[float] = []

    def begin(self) -> None:
        """Forget what was taken before: the measurement begins."""
        self._taken_us.clear()

    def take(self) -> None:
        """Decode twice and count the second time: the first brings the code into the cache."""
        self._decode()
        began_ns = time.thread_time_ns()
        self._decode()
        self._taken_us.append((time.thread_time_ns() - began_ns) / 1000)

    @property
    def us(self) -> float:
        """The median CPU µs of a decoding."""
        return median(self._taken_us)

    def at_target_speed(self, cpu_us: float) -> float:
        """What took `cpu_us` meanwhile, on the machine of the targets."""
        return cpu_us * TARGETS_US / self.us

    def _decode(self) -> None:
        simplejpeg.decode_jpeg(self._picture, "RGB", min_height=SIDE, min_width=SIDE)

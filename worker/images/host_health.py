"""How each image host does: whether it may be asked now, for how long, and whose turn it is.

A breaker for each host: a host that fails is left alone for a minute, then asked once; all that
come meanwhile are refused at once. A host that answered of late may fail some times in a row; one
that never did, not once, unless it answers that it cannot now. A host that says `Retry-After` is
left alone for so long.
"""

import asyncio
import math
from collections import OrderedDict
from typing import Final

from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.host_reports import HostReport, worst

LEFT_ALONE_S: Final = 60.0
FAILURES_MAX: Final = 5
PROBE_S: Final = 1.0
"""How long others wait at least while one post asks whether a host is back."""
RETRY_AFTER_S_MAX: Final = 3600.0
# A stranger may name any number of hosts: those of longest ago are forgotten.
HOSTS_MAX: Final = 4096

LEFT_ALONE: Final = ImageProblem(
    Reason.IMAGE_HOST_UNAVAILABLE,
    "the host failed of late, and is left alone for a while",
    again_s=math.inf,
)
"""Why a host that is left alone was not asked."""

NO_ANSWER: Final = ImageProblem(
    Reason.IMAGE_TIMEOUT, "the host did not begin to answer within image_first_answer_s"
)
"""Why a host that is not known to be well was not waited for any longer."""


class HostHealth:
    """One host. `turn` is held while it is asked; times are of one monotonic clock, in seconds."""

    __slots__ = (
        *("_answered_s", "_failures", "_free_s", "_probing", "_told_s"),
        *("asked", "failed_in_all", "took_s", "turn"),
    )

    def __init__(self, asked_at_once_max: int) -> None:
        self.turn = asyncio.Semaphore(asked_at_once_max)
        self.asked = self.failed_in_all = 0
        self.took_s = 0.0
        self._answered_s = -math.inf
        self._failures = 0
        self._free_s = self._told_s = -math.inf
        self._probing = False

    @property
    def left_alone(self) -> bool:
        """Whether it is refused to posts, or only asked whether it is back."""
        return self._free_s > -math.inf

    def well(self, now_s: float) -> bool:
        """Whether it answered of late, and has not failed since: then it is worth waiting for."""
        return self._answered_of_late(now_s) and not self._failures

    def may_be_asked(self, now_s: float) -> bool:
        """Whether to ask it now; of a host that is left alone, by one post after its time."""
        if not self.left_alone:
            return True
        if self._probing or now_s < self._free_s:
            return False
        self._probing = True
        return True

    def again_s(self, now_s: float) -> float:
        """How long until asking may help: infinity where it failed, as no post waits a minute.

        One that told to wait is asked by a single post when that time is over; the others wait.
        """
        if not self.left_alone:
            return 0.0
        if self._told_s < self._free_s:
            return math.inf
        return max(self._told_s - now_s, PROBE_S if self._probing else 0.0)

    def answered(self, now_s: float) -> None:
        """Take it for well; it is still left alone for as long as it asked for."""
        self._answered_s, self._failures, self._probing = now_s, 0, False
        self._free_s = self._told_s if now_s < self._told_s else -math.inf

    def failed(self, now_s: float) -> None:
        """Count a failure, and leave the host alone when it is one too many."""
        self._failures += 1
        self.failed_in_all += 1
        trusted = self._answered_of_late(now_s) and self._failures < FAILURES_MAX
        if self._probing or not trusted:
            self._leave_alone(now_s + LEFT_ALONE_S)

    def unable(self, now_s: float) -> None:
        """It answers, and has nothing now: it may some times in a row, though it never had."""
        self._failures += 1
        self.failed_in_all += 1
        if self._probing or self._failures >= FAILURES_MAX:
            self._leave_alone(now_s + LEFT_ALONE_S)

    def told_to_wait(self, now_s: float, seconds: float) -> None:
        """Leave it alone for as long as it asks for; a later end wins."""
        self.failed_in_all += 1
        self._told_s = max(self._told_s, now_s + min(seconds, RETRY_AFTER_S_MAX))
        self._leave_alone(self._told_s)

    def undecided(self) -> None:
        """What was asked tells nothing of the host: let the next one find out."""
        self._probing = False

    def _answered_of_late(self, now_s: float) -> bool:
        return now_s - self._answered_s < LEFT_ALONE_S

    def _leave_alone(self, until_s: float) -> None:
        self._probing = False
        self._free_s = max(self._free_s, until_s)


class Hosts:
    """The hosts that were asked of late, each asked for at most so many images at once."""

    def __init__(self, asked_at_once_max: int) -> None:
        self._asked_at_once_max = asked_at_once_max
        self._hosts: OrderedDict[tuple[str, int], HostHealth] = OrderedDict()

    def of(self, url: URL) -> HostHealth:
        """The health of a URL's host and port."""
        key = (url.raw_host or "", url.port or 0)
        health = self._hosts.get(key)
        if health is None:
            health = self._hosts[key] = HostHealth(self._asked_at_once_max)
            if len(self._hosts) > HOSTS_MAX:
                self._hosts.popitem(last=False)
        self._hosts.move_to_end(key)
        return health

    def left_alone(self) -> int:
        """How many are left alone."""
        return sum(health.left_alone for health in self._hosts.values())

    def worst(self) -> list[HostReport]:
        """Those that did worst."""
        return worst(
            HostReport(f"{host}:{port}", h.asked, h.failed_in_all, h.took_s, h.left_alone)
            for (host, port), h in self._hosts.items()
        )

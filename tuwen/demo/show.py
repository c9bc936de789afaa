"""Send the posts, kill a worker on the way, and show all of it while it happens."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from tuwen import sending
from tuwen.demo.layout import DemoSettings, Layout
from tuwen.demo.posts import DemoPost, Plan
from tuwen.demo.workers import Workers, kill_one, last_words
from tuwen.failures import Failed
from tuwen.kafka_client import producer
from tuwen.live.feed import Feed
from tuwen.live.tally import Snapshot, percentiles
from tuwen.live.view import render
from worker.settings import WorkerSettings

FRAMES_PER_S: Final = 4
LINE_EVERY_S: Final = 5.0
KILL_AFTER: Final = 0.5
"""The part of the steady posts after which a worker is killed."""
DRAIN_TIMEOUT_S: Final = 60.0
RECENT: Final = 6
POSTS_TOPIC: Final = WorkerSettings().posts_topic


@dataclass(slots=True)
class Events:
    """What happened when; seconds of the monotonic clock, 0 where it did not."""

    began_s: float = 0.0
    killed_s: float = 0.0
    killed_pid: int = 0
    restarted_s: float = 0.0
    burst_began_s: float = 0.0
    burst_sent_s: float = 0.0
    drained_s: float = 0.0
    lag_max: int = 0
    calm_latencies: Sequence[int] = field(default_factory=tuple)
    """Of the verdicts before the kill."""


class Show:
    """The part of the demo that is worth watching; `run` returns when all is answered."""

    def __init__(
        self,
        plan: Plan,
        settings: DemoSettings,
        workers: Workers,
        feed: Feed,
        servers: str,
        layout: Layout,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._workers = workers
        self._feed = feed
        self._servers = servers
        self._layout = layout
        self._phase = "starting"
        self._sent = 0
        self._fault: Exception | None = None
        self._stop = threading.Event()
        self._sender = threading.Thread(target=self._send_guarded, name="sender", daemon=True)
        self._pids: Sequence[int] = ()
        self._news: list[str] = []
        self.events = Events()
        self.picture: RenderableType = Text()
        """The frame of the burst's lag, half drained."""
        self._lag_max = 0

    def run(self, console: Console) -> Events:
        """Send, kill, watch; return when every post is answered, or nothing more comes.

        Raises:
            Exception: whatever ended the sender or the reader.
        """
        self.events.began_s = time.monotonic()
        self._pids = self._workers.processes()
        self._sender.start()
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=False) as live:
                self._watch(lambda frame: live.update(frame, refresh=True), 1 / FRAMES_PER_S)
        else:
            self._watch(_Calm(console, self._line, self._news), 0.1)
        return self.events

    def stop(self) -> None:
        """End the sender."""
        self._stop.set()
        if self._sender.ident is not None:
            self._sender.join(10)

    def _watch(self, show: Callable[[RenderableType], None], pause_s: float) -> None:
        total = len(self._plan.all)
        last_answer_s, answered = time.monotonic(), 0
        while True:
            now = time.monotonic()
            snapshot = self._feed.snapshot()
            self._look(snapshot, now)
            show(self.frame(snapshot))
            self._check()
            if self._feed.answered() != answered:
                answered, last_answer_s = self._feed.answered(), now
            if not self._sender.is_alive() and answered >= total:
                self.events.drained_s = now
                return
            # What has not come by then is lost, and the reconciliation will say so.
            if now - max(last_answer_s, self.events.burst_sent_s) > DRAIN_TIMEOUT_S:
                return
            time.sleep(pause_s)

    def _check(self) -> None:
        """Raise what makes it senseless to go on."""
        if self._fault is not None:
            raise self._fault
        if self._workers.parent.poll() is not None:
            log = self._layout.worker_log
            raise Failed(f"the workers ended: {last_words(log)} (see {log})")

    def _look(self, snapshot: Snapshot, now: float) -> None:
        """Kill when it is time, notice the new process, and note the largest lag."""
        events = self.events
        self.events.lag_max = max(events.lag_max, self._sent - self._feed.answered())
        if not events.killed_s and self._sent >= KILL_AFTER * len(self._plan.steady):
            events.calm_latencies = self._feed.latencies_ms()
            events.killed_pid = kill_one(self._workers) or 0
            events.killed_s = now
            self._news.append(f"worker {events.killed_pid} killed with -9")
        if events.killed_s and not events.restarted_s:
            new = set(self._workers.processes()) - set(self._pids)
            if new:
                events.restarted_s = now
                self._news.append(f"worker {min(new)} started in its place")
        # The frame to keep shows all at once: the kill, and the burst's lag half drained.
        lag = snapshot.lag or 0
        self._lag_max = max(self._lag_max, lag)
        if events.burst_began_s and 2 * lag > self._lag_max:
            self.picture = self.frame(snapshot)

    # The sender's thread.

    def _send_guarded(self) -> None:
        try:
            with producer(self._servers) as client:
                self._send(client)
        except Exception as fault:  # noqa: BLE001 - raised again on the thread that watches
            self._fault = fault

    def _send(self, client: Any) -> None:
        sender = sending.Sender(client, POSTS_TOPIC)
        steady, burst = self._plan.steady, self._plan.burst
        self._phase = f"steady, {self._settings.rate_per_s:.0f} posts a second"
        sender.send(_sendables(steady), self._settings.rate_per_s, self._count, self._stop.is_set)
        self.events.burst_began_s = time.monotonic()
        self._phase = f"burst: {len(burst):,} posts at once"
        sender.send(
            _sendables(burst), None, lambda n: self._count(n + len(steady)), self._stop.is_set
        )
        self.events.burst_sent_s = time.monotonic()
        self._phase = "draining"

    def _count(self, sent: int) -> None:
        self._sent = sent

    # What is seen.

    def frame(self, snapshot: Snapshot) -> RenderableType:
        """Draw the moment."""
        head = Text.assemble(
            ("posts sent    ", "dim"),
            (f"{self._sent:>7,}", "bold"),
            f" of {len(self._plan.all):,}   ",
            (self._phase, "cyan"),
        )
        body = Group(head, self._workers_line(), Text(), render(snapshot, RECENT))
        return Panel(body, title="tuwen demo", border_style="dim", padding=(0, 1))

    def _workers_line(self) -> Text:
        line = Text("workers       ", "dim")
        for pid in self._workers.processes():
            fresh = pid not in self._pids
            line.append(f"{pid}{' (new)' if fresh else ''}  ", "green" if fresh else "default")
        if self.events.killed_s:
            ago = time.monotonic() - self.events.killed_s
            line.append(f"{self.events.killed_pid} killed with -9, {ago:.0f} s ago", "bold red")
        return line

    def _line(self) -> str:
        snapshot = self._feed.snapshot()
        latency = snapshot.latency
        waits = f"  p50 {latency.p50_ms:,} p99 {latency.p99_ms:,} ms" if latency else ""
        return (
            f"  {self._phase.partition(',')[0].partition(':')[0]:<8} {self._sent:>6,} sent "
            f"{snapshot.verdicts:>6,} verdicts {snapshot.per_second:>5,.0f}/s "
            f"lag {snapshot.lag or 0:>5,}{waits}"
        )


class _Calm:
    """Where no terminal is: a line every few seconds instead of frames."""

    def __init__(self, console: Console, line: Callable[[], str], news: list[str]) -> None:
        self._console = console
        self._line = line
        self._news = news
        self._told = time.monotonic()

    def __call__(self, _frame: RenderableType) -> None:
        while self._news:
            self._console.print(f"  {self._news.pop(0)}", markup=False)
        if time.monotonic() - self._told >= LINE_EVERY_S:
            self._told = time.monotonic()
            self._console.print(self._line(), markup=False)


def _sendables(posts: Sequence[DemoPost]) -> Any:
    return (
        sending.Sendable(post.id.encode(), post.value.encode(), f"post {post.id}") for post in posts
    )


def calm_latency(events: Events) -> str:
    """Write the latency before anything was killed."""
    found = percentiles(events.calm_latencies)
    return "–" if found is None else f"p50 {found.p50_ms} ms, p99 {found.p99_ms} ms"

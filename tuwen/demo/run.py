"""The order of the demo: Kafka, corpus, training, export, the show, the summary."""

import io
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from schemas.manifest import MANIFEST_FILE, Manifest
from tuwen import local_kafka, topics
from tuwen.demo import making, picture, summary, workers
from tuwen.demo.bad_posts import bad_posts, make_images
from tuwen.demo.interruption import Interrupted, interruptible
from tuwen.demo.layout import GROUP, DemoSettings, Layout
from tuwen.demo.outcome import judge, read_back
from tuwen.demo.posts import Plan, plan, read_rows
from tuwen.demo.running import Running, exclusively, stop
from tuwen.demo.show import Events, Show
from tuwen.demo.stages import Stages
from tuwen.demo.workers import Workers
from tuwen.failures import FAILED
from tuwen.kafka_client import admin, begin_transactions
from tuwen.live.feed import Feed, Watched
from worker.settings import WorkerSettings

PARTITIONS: Final = 6
TOPICS: Final = WorkerSettings()

Result = TypeVar("Result")


def run(settings: DemoSettings, console: Console) -> int:
    """Run the demo; 0 when every post has exactly one answer, 1 when not, or when interrupted."""
    layout = Layout(settings.folder)
    running = Running(layout)
    with exclusively(layout), interruptible(running.kill_all):
        try:
            with ExitStack() as ending:
                return _Demo(settings, layout, running, Stages(console), ending).run()
        except Interrupted:
            # What was being ended when the signal came may not have been.
            running.kill_all()
            console.print("\nstopped, and nothing is left running")
            return FAILED


class _Demo:
    """One run; what it starts is put on `ending`, which undoes it in the reverse order."""

    def __init__(
        self,
        settings: DemoSettings,
        layout: Layout,
        running: Running,
        stages: Stages,
        ending: ExitStack,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._running = running
        self._stages = stages
        self._ending = ending
        self._frame: RenderableType = Text()

    def run(self) -> int:
        began = time.monotonic()
        console = self._stages.console
        servers = self._start_kafka()
        making.make(self._running, self._layout, self._settings, self._stages)
        with self._stages.stage("Posts through Kafka to two workers, one of them killed"):
            done = self._show(servers)
        console.print("\n[bold]6/6  Summary[/]")
        summary.write(done)
        summary.show(console, done)
        if self._settings.picture is not None:
            self._draw(self._settings.picture, done)
        console.print(f"\n  [dim]{time.monotonic() - began:.0f} s in all[/]")
        if self._settings.ending == "keep" and done.sum.holds:
            self._ending.pop_all()
            console.print("  everything goes on running: `tuwen demo stop` ends it")
        return 0 if done.sum.holds else FAILED

    def _start_kafka(self) -> str:
        with self._stages.stage("A local Apache Kafka") as progress:
            if left := stop(self._layout):
                self._stages.say(f"ended what an earlier demo left running: {', '.join(left)}")
            local_kafka.erase(self._layout.kafka)
            shutil.rmtree(self._layout.run, ignore_errors=True)
            self._layout.run.mkdir(parents=True)
            # On a thread: a signal must not come between the start of a broker and its record.
            self._ending.callback(local_kafka.stop, self._layout.kafka)
            kafka = on_a_thread(lambda: local_kafka.start(self._layout.kafka, progress=progress))
        return kafka.bootstrap_servers

    def _show(self, servers: str) -> summary.Run:
        posts = self._plan()
        with admin(servers) as client:
            topics.create(client, TOPICS, PARTITIONS, 1)
        begin_transactions(servers)
        started = self._start_workers(servers)
        events, latencies = self._watch(posts, started, servers)
        self._layout.metrics.write_text(started.metrics(), encoding="utf-8")
        found = read_back(servers, TOPICS.verdicts_topic, TOPICS.dead_letters_topic)
        return summary.Run(
            settings=self._settings,
            layout=self._layout,
            posts=posts.all,
            found=found,
            sum=judge(posts.all, found),
            events=events,
            latencies_ms=latencies,
            manifest=self._manifest(),
            servers=servers,
            metrics_url=started.url,
        )

    def _start_workers(self, servers: str) -> Workers:
        started = workers.start(self._running, self._layout, self._settings, servers)
        self._ending.callback(self._running.end, started.parent)
        workers.await_ready(started, PARTITIONS, self._layout.worker_log)
        return started

    def _watch(self, posts: Plan, started: Workers, servers: str) -> tuple[Events, Sequence[int]]:
        watched = Watched(
            servers,
            TOPICS.posts_topic,
            TOPICS.verdicts_topic,
            TOPICS.dead_letters_topic,
            GROUP,
        )
        texts = {post.id: post.text for post in posts.all if post.text}
        with Feed(watched, "beginning", texts) as feed:
            feed.wait_ready(10)
            show = Show(posts, self._settings, started, feed, servers, self._layout)
            self._ending.callback(show.stop)
            events = show.run(self._stages.console)
            self._frame = show.picture
            return events, feed.latencies_ms()

    def _plan(self) -> Plan:
        rows = read_rows(self._layout.corpus / "test.jsonl")
        pictures = [row.image for row in rows if row.image]
        make_images(self._layout.bad_images, self._layout.corpus / pictures[0])
        tag = f"demo-{time.strftime('%H%M%S')}"
        bad = bad_posts(tag, self._layout.bad_images.name)
        posts = plan(rows, bad, self._settings.steady_posts, self._settings.burst_posts, tag)
        self._layout.sent.write_bytes(b"".join(msgspec.json.encode(p) + b"\n" for p in posts.all))
        return posts

    def _draw(self, path: Path, done: summary.Run) -> None:
        text = Console(record=True, width=picture.COLUMNS - 4, file=io.StringIO(), highlight=False)
        summary.show_in_brief(text, done)
        said = Text.from_ansi(text.export_text(styles=True))
        picture.draw(path, "tuwen demo", [self._frame, Text(), said])

    def _manifest(self) -> Manifest:
        content = (self._layout.bundle / MANIFEST_FILE).read_bytes()
        return msgspec.json.decode(content, type=Manifest)


def on_a_thread(work: Callable[[], Result]) -> Result:
    """Do `work` where no signal interrupts it; this thread waits, and may be interrupted."""
    results: list[Result] = []
    faults: list[Exception] = []

    def guarded() -> None:
        try:
            results.append(work())
        except Exception as fault:  # noqa: BLE001 - raised again on the thread that waits
            faults.append(fault)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if faults:
        raise faults[0]
    return results[0]

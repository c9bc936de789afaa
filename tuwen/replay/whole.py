"""A whole replay on a real cluster, from what was asked for to its tally; or a rehearsal of one."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schemas.replay import Begun, Choice
from tuwen import dead_letters
from tuwen.dead_letters import DeadLetter
from tuwen.failures import Failed
from tuwen.kafka_client import admin
from tuwen.replay import cluster, running
from tuwen.replay.cluster import KafkaSources, TopicFacts
from tuwen.replay.journal import Journal, journal_topic
from tuwen.replay.sorting import Kept, Sorter
from worker.errors import BrokerError, OffsetOutOfRange
from worker.kafka import kafka_python
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.messages import Outgoing
from worker.settings import WorkerSettings

Connect = Callable[[ClientSettings], Broker]
CLOSE_S: Final = 5.0
REHEARSAL: Final = ""
"""The id of what is no replay."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new replay is told."""

    choice: Choice
    limit: int | None
    again: bool
    replays_max: int
    new_timestamps: bool

    def begun(self, replay: str, letters_id: str, ends: Mapping[int, int]) -> Begun:
        """Make it a replay."""
        return Begun(
            replay,
            letters_id,
            self.choice,
            self.limit,
            self.again,
            self.replays_max,
            self.new_timestamps,
            dict(ends),
        )


class Watching(Protocol):
    """Who is told how a replay goes."""

    def begun(self, begun: Begun) -> None:
        """It has an id now, by which it is resumed."""

    def progress(self, done: int, total: int) -> None:
        """So many offsets of the dead letters, of so many, are done."""


def new_id() -> str:
    """Make an id: the time, which people can read, and something that tells two of a second."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2)


def rehearse(
    settings: WorkerSettings, terms: Terms
) -> Iterator[tuple[DeadLetter, Outgoing | Kept]]:
    """Sort all that a replay would, and put nothing back."""
    topic = settings.dead_letters_topic
    with _asking(settings) as (client, found, sources):
        journal = cluster.read_journal(client, settings, topic, found.id)
        sorter = _sorter(settings, terms.begun(REHEARSAL, found.id, {}), journal, sources)
        count = 0
        for letter in dead_letters.read(settings, topic):
            if count == terms.limit:
                return
            if dead_letters.is_chosen(letter, terms.choice):
                fate = sorter.sort(letter)
                count += isinstance(fate, Outgoing)
                yield letter, fate


def replay(
    settings: WorkerSettings,
    asked: Terms | str,
    watching: Watching,
    connect: Connect = kafka_python.connect,
) -> running.Tally:
    """Run a new replay, or resume the one of this id.

    Raises:
        Failed: there is no such replay, or it stopped on the way; then the text says how to go on.
        BrokerError: nothing was begun.
    """
    topic = settings.dead_letters_topic
    with _asking(settings) as (client, found, sources):

        def look() -> Journal:
            return cluster.read_journal(client, settings, topic, found.id)

        if isinstance(asked, str):
            # A mistyped id must not disturb a replay that runs.
            _demand(look().known(asked, topic), found, topic)
        cluster.make_journal(client, topic, found.replicas)
        name = asked if isinstance(asked, str) else new_id()
        broker = connect(_client_settings(settings, name))
        try:
            start = running.Start(broker, _patience(settings), topic, look, now_ms)
            begun, journal = _started(start, asked, name, found)
            watching.begun(begun)
            sorter = _sorter(settings, begun, journal, sources)
            return _run(running.Replay(start, sorter, watching.progress), name)
        finally:
            broker.close(CLOSE_S, leave=True)


def _started(
    start: running.Start, asked: Terms | str, name: str, found: TopicFacts
) -> tuple[Begun, Journal]:
    if isinstance(asked, str):
        return start.resume(name)
    return start.begin(lambda ends: asked.begun(name, found.id, ends))


def _run(run: running.Replay, name: str) -> running.Tally:
    try:
        run.run()
    except BrokerError as error:
        how = f"`tuwen dead-letters replay --resume {name}` goes on"
        if isinstance(error, OffsetOutOfRange):
            how = "begin another replay, of those that are left"
        raise Failed(
            f"replay {name} stopped after {run.tally.replayed.total():,} records: {error}. "
            f"Nothing is lost or twice: {how}"
        ) from error
    return run.tally


def _demand(begun: Begun, found: TopicFacts, letters_topic: str) -> None:
    """Refuse to resume what has no letters any more."""
    if begun.letters_id != found.id:
        raise Failed(
            f"the dead letters of replay {begun.replay} are gone: topic {letters_topic!r} was made "
            "anew since; begin another"
        )


@contextmanager
def _asking(settings: WorkerSettings) -> Iterator[tuple[Any, TopicFacts, KafkaSources]]:
    """Connect for questions, and see that there are dead letters."""
    with admin(settings) as client, ExitStack() as closing:
        found = cluster.facts(client, settings.dead_letters_topic, "Read")
        yield client, found, KafkaSources(client, settings, closing)


def _sorter(
    settings: WorkerSettings, begun: Begun, journal: Journal, sources: KafkaSources
) -> Sorter:
    letters = settings.dead_letters_topic
    return Sorter(begun, journal, sources, frozenset({letters, journal_topic(letters)}), now_ms)


def _client_settings(settings: WorkerSettings, name: str) -> ClientSettings:
    """Say who a replay is: progress in a group of its own, one producer for all of a topic."""
    letters = settings.dead_letters_topic
    return ClientSettings(
        bootstrap_servers=settings.bootstrap_servers,
        group=f"{letters}.replay-{name}",
        topic=letters,
        slot_id=f"{letters}.replay",
        request_timeout_ms=settings.request_timeout_ms,
        delivery_timeout_ms=settings.delivery_timeout_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        session_timeout_ms=settings.session_timeout_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        security=settings,
        written_topics=(journal_topic(letters),),
    )


def _patience(settings: WorkerSettings) -> running.Patience:
    return running.Patience(
        settings.transaction_timeout_ms / 1000, settings.delivery_timeout_ms / 1000
    )


def now_ms() -> int:
    """The time, since the epoch."""
    return time.time_ns() // 1_000_000

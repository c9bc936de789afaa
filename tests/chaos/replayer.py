"""A replay as the product runs it, with a broker that kills the process at a step.

    python -m tests.chaos.replayer STEP TIME [ID] < settings.json

It dies the TIME-th time that it comes to STEP of a transaction, never when TIME is 0. With ID it
goes on with that replay. Its id is the first line that it prints.
"""

import os
import signal
import sys

from schemas.replay import Begun, Choice
from tests.mortal_broker import Life, mortal
from tuwen.replay import whole
from worker.kafka import kafka_python
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.settings import WorkerSettings


class Printing:
    """Prints the id as soon as there is one."""

    def begun(self, begun: Begun) -> None:
        """Say it."""
        print(begun.replay, flush=True)  # noqa: T201 -- the parent reads it.

    def progress(self, done: int, total: int) -> None:
        """Say nothing."""


def main(step: str, time: str, replay: str = "") -> int:
    """Run until the end, or until it is time to die."""
    settings = WorkerSettings.model_validate_json(sys.stdin.readline())
    life = Life({step: int(time)}, lambda: os.kill(os.getpid(), signal.SIGKILL))

    def connect(client: ClientSettings) -> Broker:
        return mortal(kafka_python.connect(client), life.meet)

    everything = whole.Terms(Choice(), None, False, 3, False)
    whole.replay(settings, replay or everything, Printing(), connect)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

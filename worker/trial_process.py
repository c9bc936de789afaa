"""Work on records one at a time, for a worker that fears to die of one: the child's half.

    python -P -m worker.trial_process

A `worker.trial_child.Task` comes first on standard input, then records; what each comes to leaves
on standard output. Stages, model, image sources and decoder are those of a worker with these
settings; there is no Kafka.
"""

import os
import resource
import signal
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry

from worker import logs
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.image_failures import image_failures
from worker.images.cache import no_cache
from worker.images.decoder_child.confinement import end_with_parent
from worker.messages import Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.process import REFUSALS, equip, publisher
from worker.retries import Retries
from worker.settings import WorkerSettings
from worker.stages import Stages
from worker.trial_child import Answer, Ready, Task, content_of, framed, missing_bytes

_REQUESTS: Final = 0
_READ_BYTES: Final = 1 << 16
# Its worker says when it ends.
_IGNORED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Work until the worker closes its end of the pipe."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    _be_the_first_to_go()
    answers = os.dup(1)
    # What a library prints must not be taken for an answer.
    os.dup2(2, 1)
    told = _frame()
    if not told:
        return
    task = msgspec.msgpack.decode(told, type=Task)
    with ExitStack() as closing:
        try:
            lone = Lone(task, closing)
        except REFUSALS as error:
            os.write(answers, framed(Ready(str(error))))
            return
        os.write(answers, framed(Ready()))
        while asked := _frame():
            _write(answers, framed(lone.answer(msgspec.msgpack.decode(asked, type=Record))))


class Lone:
    """A worker's stages for one record at a time, in which nothing is waited out."""

    def __init__(self, task: Task, closing: ExitStack) -> None:
        """Put them together. Raises what `worker.process.REFUSALS` names."""
        # Its worker waits for an answer: an image that may be had later is not had.
        settings = WorkerSettings.model_validate_json(task.settings).model_copy(
            update={"image_tries_max": 1}
        )
        logs.configure(settings.log_format, settings.log_level, "trial")
        metrics = Metrics(CollectorRegistry())
        equipment = equip(settings, metrics, closing)
        classifier = equipment.classifier
        manifest = classifier.manifest
        at_once = threading.Event()
        at_once.set()
        self._endurance = Endurance(metrics, at_once)
        self._stages = Stages(
            classifier,
            Fetcher(
                equipment.source.images,
                equipment.decoder,
                manifest.modalities,
                image_failures(settings.on_image_failure),
            ),
            publisher(settings, manifest, task.partitions),
            metrics,
            self._endurance,
            Retries(Ledger(), settings, metrics),
            no_cache(),
        )

    def answer(self, record: Record) -> Answer:
        """Work on a record; a fault of the machine or the model is told, and not endured."""
        for outcome in self._stages.outcomes(self._stages.prepare([record])):
            return Answer(outcome.outgoing, outcome.label, outcome.confidence, outcome.reason)
        return Answer(None, trouble=self._endurance.trouble)


def _be_the_first_to_go() -> None:
    """Let the kernel take this process, and not the worker, when memory is gone; dump no core."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _frame() -> bytes:
    """Read a frame; empty when the worker has closed the pipe."""
    heard = b""
    while (missing := missing_bytes(heard)) > 0:
        more = os.read(_REQUESTS, min(missing, _READ_BYTES))
        if not more:
            return b""
        heard += more
    return content_of(heard)


def _write(answers: int, written: bytes) -> None:
    while written:
        written = written[os.write(answers, written) :]


if __name__ == "__main__":
    main()

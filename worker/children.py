"""Start worker processes and hear from them; the parent's half of what `worker.process` speaks.

A child is in a process group of its own, so that Ctrl-C reaches the parent alone. Its settings
come as one line on its standard input, whose end is also the parent's end; what it has to say
comes as lines of JSON on its standard output.
"""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from worker.secret_settings import WITH_SECRETS
from worker.settings import WorkerSettings

COMMAND: Final = (sys.executable, "-P", "-m", "worker.process")
ANSWER_S: Final = 1.0
# Each malloc arena and each idle thread of a numeric library costs memory, and none is used.
_ENVIRONMENT: Final = {
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Said(msgspec.Struct, frozen=True):
    """A line that a child says: where its metrics are, why it does not start, who has its slot.

    `taken` says that it had served, and that another process has taken its slot from it.
    """

    slot: int | None = None
    port: int | None = None
    refused: str | None = None
    taken: bool = False


class Child:
    """A worker process that was started, until it is dead."""

    def __init__(self, settings: WorkerSettings, command: Sequence[str] = COMMAND) -> None:
        self.started_s = time.monotonic()
        self.said = Said()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT,
            process_group=0,
        )
        self.pid = self._process.pid
        self._listening = threading.Thread(target=self._listen, name="child", daemon=True)
        self._listening.start()
        self._tell(settings)

    def exit_code(self) -> int | None:
        """None while it lives; negative for a signal. When dead, all that it said was heard."""
        code = self._process.poll()
        if code is not None:
            self._close()
        return code

    def stop(self) -> None:
        """Ask it to finish."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once, and bury it."""
        self._process.kill()
        self._process.wait()
        self._close()

    def ask(self, path: str) -> tuple[int, bytes] | None:
        """Give status and body of one of its pages, None when it does not answer."""
        if self.said.port is None:
            return None
        connection = http.client.HTTPConnection("127.0.0.1", self.said.port, timeout=ANSWER_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _close(self) -> None:
        """Give the pipes of a dead child back, once all that it said was heard."""
        self._listening.join(ANSWER_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _tell(self, settings: WorkerSettings) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            # The pipe is the child's alone: it may hold secrets.
            told = settings.model_dump_json(context=WITH_SECRETS)
            self._process.stdin.write(told.encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(msgspec.DecodeError):
                self.said = msgspec.json.decode(line, type=Said)

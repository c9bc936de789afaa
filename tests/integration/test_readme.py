"""Every command that the README shows is run, in its order, as a reader would run it."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVED_S = 120.0
STOP_S = 20.0

# As a reader has them, and as a test can wait for them: a smaller corpus, one pass, a free port.
SMALLER = {
    "tuwen corpus generate": ["--train-posts", "300", "--test-posts", "60"],
    "tuwen train": ["--epochs", "1"],
}
LABELS = ("积极", "中性", "消极")
# They go on until they are stopped, so that the reader needs another terminal.
LASTING = ("tuwen worker", "tuwen watch")


def commands() -> list[str]:
    """Every line of every shell block."""
    blocks = SHELL.findall(README.read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines() if line.strip()]


class Reader:
    """Somebody with a terminal in an empty folder, who types what the README says."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.lasting: dict[str, subprocess.Popen[bytes]] = {}
        scripts = str(Path(sys.executable).parent)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TUWEN_")}
        self.environment = ours | {"PATH": f"{scripts}:{ours['PATH']}", "NO_COLOR": "1"}

    def type(self, line: str) -> None:
        """Do what a line says."""
        match line.partition(" ")[0]:
            case "make":
                self._run(["make", "--dry-run", "-C", str(ROOT), *shlex.split(line)[1:]], line)
            case ".":
                assert line == ". .venv/bin/activate"
            case "export":
                name, _, value = line.removeprefix("export ").partition("=")
                self.environment[name] = value.replace("9092", str(self.port))
            case "tuwen":
                self._tuwen(line)
            case other:
                pytest.fail(f"who runs {other}? {line}")

    def log(self, name: str) -> str:
        """What a lasting command has printed."""
        return (self.folder / f"{name.replace(' ', '-')}.log").read_text(encoding="utf-8")

    def stop(self, name: str, how: signal.Signals) -> int:
        """Stop a lasting command, and give its exit code."""
        self.lasting[name].send_signal(how)
        return self.lasting[name].wait(STOP_S)

    def _tuwen(self, line: str) -> None:
        command = shlex.split(line)
        for start, smaller in SMALLER.items():
            command += smaller if line.startswith(start) else []
        if line == "tuwen kafka start":
            command += ["--port", str(self.port)]
        lasting = [name for name in LASTING if line.startswith(name)]
        if lasting:
            with (self.folder / f"{lasting[0].replace(' ', '-')}.log").open("wb") as log:
                self.lasting[lasting[0]] = subprocess.Popen(
                    command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
                )
        else:
            self._run(command, line)

    def _run(self, command: list[str], line: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def at_a_terminal(tmp_path: Path, kafka: str) -> Iterator[Reader]:
    """A reader who leaves nothing running. Where no Kafka can be started, there is none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reader = Reader(tmp_path, port)
    yield reader
    for command in reader.lasting.values():
        if command.poll() is None:
            command.terminate()
            command.wait(STOP_S)
    reader.type("tuwen kafka stop")


@pytest.mark.kafka
@pytest.mark.training
@pytest.mark.timeout(600)
def test_every_command_of_the_readme_works(at_a_terminal: Reader) -> None:
    """From an empty folder to verdicts, by nothing but what it says."""
    assert len(commands()) >= 12
    for line in commands():
        at_a_terminal.type(line)
    wait_for_verdicts(at_a_terminal, 60)
    assert at_a_terminal.stop("tuwen watch", signal.SIGINT) == 0
    assert at_a_terminal.stop("tuwen worker", signal.SIGTERM) == 0


def wait_for_verdicts(at_a_terminal: Reader, count: int) -> None:
    """Wait until the watching command has printed a label for every post that was sent."""
    deadline_s = time.monotonic() + SERVED_S
    while time.monotonic() < deadline_s:
        lines = [line.split() for line in at_a_terminal.log("tuwen watch").splitlines()]
        if sum(line[1] in LABELS for line in lines) == count:
            return
        time.sleep(0.2)  # nothing to wait on: another process's output
    raise AssertionError(at_a_terminal.log("tuwen watch") + at_a_terminal.log("tuwen worker"))

"""What a confined process can still do: nothing but decode; and what each lock holds by itself."""

import os
import platform
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.unit.worker.images.decoder_child.decoders import (
    POISONED,
    decoding,
    one_child,
    png,
    poison,
)
from worker.images.decoder_child import landlock, seccomp
from worker.images.decoder_child.child import COMMAND, DecoderUnavailable, Ended, Ending

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the locks are Linux'")

BEGINNING = """
import ctypes, mmap, os, resource, socket, sys, threading
from worker.images.decoder_child import confinement, landlock, seccomp
confinement._prctl(38, 1)
def tried(deed):
    try:
        return f"got {deed()!r}"
    except (OSError, RuntimeError, MemoryError, ValueError) as error:
        return f"{type(error).__name__} {getattr(error, 'errno', None)}"
"""


def alone(script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script in a process of its own, which has nothing to lose."""
    return subprocess.run(
        [COMMAND[0], "-P", "-c", BEGINNING + script],
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )


def what_is_left(locking: str, deed: str) -> str:
    """What a deed comes to under one lock alone."""
    done = alone(f"deed = lambda: {deed}\n{locking}\nprint(tried(deed))\n")
    return done.stdout.strip() or f"ended by {signal.Signals(-done.returncode).name}"


# All locks together, in the real child.


@pytest.mark.parametrize(
    "deed",
    [
        *("open_file", "write_file", "open_socket", "fork", "start_thread", "signal_parent"),
        *("map_code", "raise_limits"),
    ],
)
def test_an_image_that_took_over_the_child_is_refused(deed: str) -> None:
    """It has no file, no socket, no process, no thread, no code; and the child goes on."""
    with one_child(command=POISONED) as child:
        [found] = answered(child.decode([poison(deed)]))
        [good] = answered(child.decode([png(1)]))
    assert isinstance(found, ImageProblem)
    assert found.reason == Reason.IMAGE_UNREADABLE
    assert found.detail.startswith("refused: ")
    assert not isinstance(good, ImageProblem)


def test_two_gigabytes_are_not_to_be_had() -> None:
    """The image is named as what it is, and the child goes on."""
    with one_child(command=POISONED) as child:
        [found, good] = answered(child.decode([poison("take_memory"), png(1)]))
    assert isinstance(found, ImageProblem)
    assert found.reason == Reason.IMAGE_NEEDS_TOO_MUCH_MEMORY
    assert not isinstance(good, ImageProblem)


@pytest.mark.parametrize("deed", ["start_program", "segfault", "abort"])
def test_what_only_an_attack_does_ends_the_child(deed: str) -> None:
    """The worker is told that it crashed, and over which row."""
    with one_child(command=POISONED) as child:
        assert child.decode([png(1), poison(deed), png(2)]) == Ended(Ending.CRASHED, 1)


def test_a_child_is_under_all_locks() -> None:
    """As the kernel tells of it: one thread, no new privileges, a filter of its calls."""
    with one_child() as child:
        status = Path(f"/proc/{child.pid}/status").read_text()
    assert child.locks == ("no-new-privileges", "landlock", "resource-limits", "seccomp")
    told = re.findall(r"^(?:Threads|NoNewPrivs|Seccomp):\t(\d)$", status, re.MULTILINE)
    assert told == ["1", "1", "2"]


def test_a_child_holds_nothing_but_its_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor of the worker's, and no secret of its environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("TUWEN_GROUP", "s3cret")
    command = (COMMAND[0], "-P", "-c", TELLING, "serving")
    with (
        Path(__file__).open() as _held,
        pytest.raises(DecoderUnavailable, match="it holds") as told,
        decoding(command=command),
    ):
        pass
    assert "memfd:tuwen-images" in str(told.value)
    assert "s3cret" not in str(told.value)
    assert Path(__file__).name not in str(told.value)


# Once it is confined, only root could look into it.
TELLING = """
import os, sys
from worker.images.decoder_child import serving
def confine(*_):
    held = []
    for number in os.listdir("/proc/self/fd"):
        try:
            held.append(os.readlink("/proc/self/fd/" + number))
        except OSError:
            pass
    raise OSError(f"it holds {held} {dict(os.environ)}")
serving.confine = confine
serving.main(sys.argv[2:])
"""


def test_a_child_ends_with_its_worker() -> None:
    """Killed as nobody can prevent, in the middle of an endless image."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[5])!r})
from tests.unit.worker.images.decoder_child.decoders import *
from worker.images.decoder_child.child import COMMAND
with decoding() as (decoder, _):
    print("ready", flush=True)
    decoder.decode([poison("spin")])
"""
    worker = subprocess.Popen([COMMAND[0], "-c", script], stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None
        worker.stdout.readline()
        children = psutil.Process(worker.pid).children()
    finally:
        worker.kill()
        worker.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    for child in alive:
        child.kill()
    assert len(children) >= 1
    assert alive == []


def test_a_child_that_is_told_to_stop_works_until_its_worker_is_done() -> None:
    """A service manager signals every process of a worker, which still has posts to finish."""
    with one_child() as child:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(child.pid, number)
        [found] = answered(child.decode([png(1)]))
        assert not isinstance(found, ImageProblem)
        assert os.getpgid(child.pid) == child.pid


def test_a_child_ends_when_the_pipe_does() -> None:
    """Wherever there is no other sign of its worker's end."""
    with one_child() as child:
        process = psutil.Process(child.pid)
        assert child._process.stdin is not None
        child._process.stdin.close()
        assert process.wait(10) == 0


def answered(answer: object) -> list[object]:
    """What was found; it must be an answer."""
    assert isinstance(answer, list), answer
    return answer


# Each lock by itself.


@pytest.mark.parametrize(
    "deed",
    [
        "open('/etc/passwd').read()",
        "open('/tmp/tuwen-lock', 'w')",
        "os.listdir('/')",
        "os.mkdir('/tmp/tuwen-lock')",
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.create_server(('127.0.0.1', 0))",
    ],
)
def test_landlock_alone_takes_files_and_ports(deed: str) -> None:
    """EACCES is its word."""
    assert what_is_left("landlock.restrict()", deed) == "PermissionError 13"


def test_landlock_alone_takes_sockets_and_signals_of_others() -> None:
    """Abstract sockets are no files, and a signal needs no descriptor."""
    listening = f"\0tuwen-test-{os.getpid()}"
    scoped = landlock.abi() >= landlock.SCOPES_SINCE
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(listening)
        server.listen()
        connect = f"socket.socket(socket.AF_UNIX).connect({listening!r})"
        left = [
            what_is_left("landlock.restrict()", deed)
            for deed in (connect, "os.kill(os.getppid(), 0)")
        ]
    assert left == (["PermissionError 1"] if scoped else ["got None"]) * 2


@pytest.mark.parametrize(
    ("deed", "left"),
    [
        ("open('/etc/passwd')", "PermissionError 1"),
        ("socket.socket()", "PermissionError 1"),
        ("os.fork()", "PermissionError 1"),
        ("threading.Thread(target=int).start()", "RuntimeError None"),
        ("os.kill(os.getpid(), 0)", "PermissionError 1"),
        ("os.memfd_create('x')", "PermissionError 1"),
        ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", "PermissionError 1"),
        ("resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", "ValueError None"),
        ("len(bytearray(300_000_000))", "got 300000000"),
        ("os.execv('/bin/true', ['true'])", "ended by SIGSYS"),
        ("ctypes.CDLL(None).ptrace(0, 0, 0, 0)", "ended by SIGSYS"),
        ("ctypes.CDLL(None).syscall(425, 1, 0)", "ended by SIGSYS"),
    ],
)
def test_seccomp_alone_takes_all_other_calls(deed: str, left: str) -> None:
    """EPERM is its word, and SIGSYS where nobody decodes by it; memory is left."""
    assert what_is_left("seccomp.restrict()", deed) == left


def test_seccomp_alone_takes_code_made_of_memory() -> None:
    """Memory that was written to does not become executable, and no file is mapped."""
    protect = "ctypes.CDLL(None, use_errno=True).mprotect(address, 4096, 5)"
    script = f"""
held = mmap.mmap(-1, 4096)
address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(held)))
file = os.open('/etc/passwd', os.O_RDONLY)
call = ctypes.CDLL(None, use_errno=True).mmap
call.restype = ctypes.c_ssize_t
seccomp.restrict()
print({protect}, ctypes.get_errno(), call(0, 4096, 1, 2, file, 0))
"""
    assert alone(script).stdout.strip() == "-1 1 -1"


@pytest.mark.parametrize(
    ("deed", "left"),
    [
        ("len(bytearray(300_000_000))", "MemoryError None"),
        ("len(bytearray(50_000_000))", "got 50000000"),
        ("open('/etc/passwd')", "OSError 24"),
        ("os.write(file, b'x')", "ended by SIGXFSZ"),
        ("sum(iter(int, 1))", "ended by SIGXCPU"),
    ],
)
def test_limits_alone_take_memory_time_files_and_dumps(deed: str, left: str) -> None:
    """200 MB and 1 s of CPU are left; no descriptor and no byte of a file."""
    locking = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
file = os.open('/tmp', os.O_TMPFILE | os.O_RDWR)
confinement.limit(confinement.address_space_bytes() + 200_000_000, 1)
"""
    assert what_is_left(locking, deed) == left


def test_no_limit_is_left_out() -> None:
    """Processes are not limited for root, so that their limit is read instead."""
    names = ("NOFILE", "NPROC", "FSIZE", "CORE")
    locking = "confinement.limit(confinement.address_space_bytes() + 200_000_000, 1)"
    for name in names:
        assert what_is_left(locking, f"resource.getrlimit(resource.RLIMIT_{name})") == (
            "got (0, 0)"
        )


def test_a_lower_limit_of_the_system_stays() -> None:
    """What an administrator allows less of is not raised, nor is it an error."""
    script = """
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
confinement.limit(1 << 40, 1)
print(resource.getrlimit(resource.RLIMIT_AS))
"""
    assert alone(script).stdout.strip() == "(2000000000, 2000000000)"


def test_no_process_looks_into_a_confined_one() -> None:
    """And no dump is written of one that crashes, whatever the system does with dumps."""
    script = "confinement.confine(1 << 30, 60)\nprint(ctypes.CDLL(None).prctl)\n"
    script = "get = ctypes.CDLL(None).prctl\nprint(get(3, 0, 0, 0, 0))\n"
    locking = "import builtins\nseccomp.restrict = lambda: True\nconfinement.confine(1 << 30, 9)\n"
    assert alone(locking + script).stdout.strip() == "0"


def test_a_process_with_a_second_thread_is_not_confined() -> None:
    """Landlock and seccomp hold the thread that asks for them: the other would be free."""
    script = """
held = threading.Event()
threading.Thread(target=held.wait, daemon=True).start()
try:
    confinement.confine(1 << 30, 60)
except confinement.NotAlone as error:
    print(error, flush=True)
os._exit(0)
"""
    assert alone(script).stdout.strip() == "2 threads, and only one would be confined"


def test_a_child_that_is_not_confined_is_not_used() -> None:
    """What a lock raises is the reason that there is no decoder."""
    command = (COMMAND[0], "-P", "-c", BROKEN, "serving")
    with pytest.raises(DecoderUnavailable, match="no locks today"), decoding(command=command):
        pass


BROKEN = """
import sys
from worker.images.decoder_child import confinement, serving
def confine(*_):
    raise OSError(1, "no locks today")
serving.confine = confine
serving.main(sys.argv[2:])
"""


def test_a_child_that_decodes_otherwise_once_it_is_confined_is_not_used() -> None:
    """A library that imports something late would fail with a stranger's image."""
    command = (COMMAND[0], "-P", "-c", LATE, "serving")
    with pytest.raises(DecoderUnavailable, match="in another way"), decoding(command=command):
        pass


LATE = """
import sys
from worker.images.decoder_child import serving
def confine(*_):
    serving.decode = lambda *_: serving.ImageProblem('image-damaged', 'ModuleNotFoundError')
    return ()
serving.confine = confine
serving.main(sys.argv[2:])
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the second table is x86-64's")
def test_the_second_table_of_calls_is_closed() -> None:
    """x32's numbers mean the same calls, and no rule names them."""
    assert what_is_left("seccomp.restrict()", "ctypes.CDLL(None).syscall(0x40000000 + 39)") == (
        "ended by SIGSYS"
    )


def test_where_there_is_no_seccomp_the_other_locks_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown processor has no filter, and the child says so."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.restrict() is False

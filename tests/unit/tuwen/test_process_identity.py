import os
import subprocess
import sys

from tuwen.process_identity import ProcessIdentity, end, identify, is_running

STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"


def start(code: str) -> "subprocess.Popen[str]":
    """Start a Python child and wait until it has said something."""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


def test_a_process_keeps_its_identity() -> None:
    """Asked twice, the answer is the same."""
    mine = identify(os.getpid())
    assert mine is not None
    assert mine == identify(os.getpid())
    assert is_running(mine)


def test_another_start_is_another_process() -> None:
    """The same pid with another start is a stranger."""
    assert not is_running(ProcessIdentity(os.getpid(), "another day"))


def test_a_stranger_with_the_same_pid_is_not_killed() -> None:
    """`end` says that the process is gone, and leaves who has its pid alone."""
    with start("import time; print(flush=True); time.sleep(60)") as stranger:
        assert end(ProcessIdentity(stranger.pid, "another day"), grace_s=0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_will_not_end_is_killed() -> None:
    """SIGTERM first, SIGKILL after the grace."""
    with start(STUBBORN) as child:
        identity = identify(child.pid)
        assert identity is not None
        assert end(identity, grace_s=0.1)
        assert child.wait() == -9


def test_a_zombie_does_not_run() -> None:
    """A process that has ended is gone even while its parent has not looked."""
    with start("print(flush=True)") as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identify(child.pid) is None

import signal
import subprocess
import sys

import pytest

from tuwen.demo.interruption import SIGNALS, Interrupted, interruptible

TWICE = """\
import os, signal, time
from tuwen.demo.interruption import Interrupted, interruptible
with interruptible(lambda: os.write(1, b"killed all\\n")):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except Interrupted:
        os.write(1, b"ending\\n")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_raised(number: signal.Signals) -> None:
    """So that what was begun is ended in order; afterwards signals are as they were."""
    before = signal.getsignal(number)

    with pytest.raises(Interrupted), interruptible(lambda: None):
        signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_the_second_signal_kills_and_ends_at_once() -> None:
    """Whichever of them it is, and whatever is being waited for."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", TWICE], capture_output=True, timeout=8, check=False
    )

    assert ran.stdout == b"ending\nkilled all\n"
    assert ran.returncode == 1

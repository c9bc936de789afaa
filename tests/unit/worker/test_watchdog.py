import subprocess
import sys
import threading

from worker.exit_codes import HUNG
from worker.watchdog import Watchdog

HANGS = """
import threading
from functools import partial
from worker.exit_codes import HUNG
from worker.stopping import end_at_once
from worker.watchdog import Watchdog
watchdog = Watchdog(partial(end_at_once, code=HUNG), grace_s=0.05, look_every_s=0.02)
with watchdog.bounding("the commit of a transaction", 0.1):
    threading.Event().wait()
"""


def a_watchdog(words: list[str]) -> Watchdog:
    """One that looks when it is told to; within 1 s grace."""
    watchdog = Watchdog(words.append, grace_s=1.0, look_every_s=60.0)
    watchdog.look(100.0)
    watchdog.close()
    return watchdog


def test_a_call_that_never_comes_back_ends_the_process_with_a_last_word() -> None:
    """Its exit code tells that from other failures, and the word names the call and the wait."""
    hung = subprocess.run(
        [sys.executable, "-P", "-c", HANGS], check=False, capture_output=True, text=True
    )
    assert hung.returncode == HUNG
    assert "the commit of a transaction has not come back for 0." in hung.stderr
    assert "should have within 0.1 s" in hung.stderr


def test_only_what_is_late_by_more_than_the_grace_is_ended() -> None:
    """Not what is over, and not what may take longer."""
    words: list[str] = []
    watchdog = a_watchdog(words)
    with watchdog.bounding("a short call", 2.0):
        watchdog.look(102.9)
    with watchdog.bounding("a long call", 60.0):
        watchdog.look(105.8)
        watchdog.look(150.0)
    watchdog.look(200.0)
    assert words == []
    watchdog.begin("a call", 2.0)
    watchdog.look(203.1)
    (word,) = words
    assert word.startswith("a call has not come back for 3.1 s and should have within 2 s")


def test_a_process_that_was_stopped_has_waited_for_nobody() -> None:
    """After SIGSTOP and SIGCONT two looks are far apart, and a call in between is not late."""
    words: list[str] = []
    watchdog = Watchdog(words.append, grace_s=1.0, look_every_s=0.5)
    watchdog.close()
    watchdog.look(100.0)
    watchdog.begin("a call", 2.0)
    watchdog.look(200.0)
    assert words == []
    for now_s in range(201, 204):
        watchdog.look(float(now_s))
    assert len(words) == 1


def test_calls_of_several_threads_are_watched_at_once() -> None:
    """One that ends does not hide another that hangs."""
    words: list[str] = []
    watchdog = a_watchdog(words)
    watchdog.begin("a call that hangs", 0.0)
    other = threading.Thread(target=lambda: watchdog.over(watchdog.begin("another", 0.0)))
    other.start()
    other.join()
    watchdog.look(110.0)
    assert [word.split(" has")[0] for word in words] == ["a call that hangs"]

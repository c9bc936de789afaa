import subprocess
import sys
from pathlib import Path

import pytest

from worker.errors import SlotTaken
from worker.slots import claimed, slot_id

HOLD = """
import sys
from pathlib import Path
from worker.slots import claimed
with claimed("g", "host", None, Path(sys.argv[1])) as slot:
    print(slot, flush=True)
    sys.stdin.read()
"""


def test_each_worker_gets_the_first_free_slot(tmp_path: Path) -> None:
    """0, 1, 2; and what was given back is the first free again."""
    with claimed("g", "host", None, tmp_path) as first:
        with claimed("g", "host", None, tmp_path) as second:
            assert (first, second) == (0, 1)
        with claimed("g", "host", None, tmp_path) as again:
            assert again == 1


def test_a_pinned_slot_that_is_taken_refuses(tmp_path: Path) -> None:
    """The message names the slot and the process."""
    with (
        claimed("g", "host", 5, tmp_path),
        pytest.raises(SlotTaken, match=r"slot 5 of g on host is taken by process \d+"),
        claimed("g", "host", 5, tmp_path),
    ):
        pass


def test_slots_of_groups_and_instances_are_their_own(tmp_path: Path) -> None:
    """Slot 0 of another group, or under another instance name, is free."""
    with (
        claimed("g", "host", 0, tmp_path),
        claimed("h", "host", 0, tmp_path) as of_group,
        claimed("g", "pod-1", 0, tmp_path) as of_instance,
    ):
        assert (of_group, of_instance) == (0, 0)


def test_the_system_releases_the_slot_of_a_killed_process(tmp_path: Path) -> None:
    """Kill -9 leaves a slot that the next process takes at once."""
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "0\n"
        with claimed("g", "host", None, tmp_path) as beside:
            assert beside == 1
        with pytest.raises(SlotTaken, match=str(holder.pid)), claimed("g", "host", 0, tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with claimed("g", "host", 0, tmp_path) as after:
        assert after == 0


def test_all_slots_taken_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is bounded."""
    monkeypatch.setattr("worker.slots.SLOTS_MAX", 1)
    with (
        claimed("g", "host", None, tmp_path),
        pytest.raises(SlotTaken, match="all 1 slots"),
        claimed("g", "host", None, tmp_path),
    ):
        pass


def test_a_slot_is_named_as_its_transactional_id() -> None:
    """group-instance-slot, as operators see it in Kafka."""
    assert slot_id("tuwen", "pod-3", 1) == "tuwen-pod-3-1"


def test_without_a_folder_the_user_s_runtime_folder_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the system has none, the fallback is taken in silence."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with claimed("g", "host", 7):
        assert (tmp_path / "tuwen" / "g-host-7.slot").exists()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with claimed(f"test-{tmp_path.name}", "host", None) as slot:
        assert slot == 0

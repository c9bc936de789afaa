"""Take the room to write away, from the broker or from a worker, and give it back."""

from typing import Final

from tests.chaos.own_kafka import own_kafka
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.small_disk import SmallDisk, small_disk
from tests.chaos.trial import QUICK, START_S, Trial, trial

BROKER_MIB: Final = 96
WORKER_MIB: Final = 64
SAYS_S: Final = 30.0


def of_broker(place: Place, load: Load) -> Figures:
    """Fill the disk of the broker's log; it ends, and is started again once there is room."""
    with (
        small_disk(place.folder / "disk", BROKER_MIB) as disk,
        own_kafka(disk.folder / "kafka") as kafka,
    ):
        own = Place(place.name, place.folder, kafka.servers)
        with trial(own, load, settings=QUICK) as tried:
            tried.wait(load.seconds / 4)
            disk.fill()
            full = tried.flock.wait_until(lambda: not kafka.runs(), START_S)
            tried.figures.hit("full disks", int(full and not disk.free_bytes))
            _see_unready(tried)
            tried.catch_up()
            disk.relieve()
            kafka.start()
            again_s = tried.flows_again_s()
            tried.figures.demand(again_s is not None, "no verdicts came again")
            tried.figures.shown["verdicts again after it is back in"] = f"{again_s or 0:.1f} s"
            _see_ready(tried)
    return tried.figures


def of_worker(place: Place, load: Load) -> Figures:
    """Fill the disk of the workers' logs and temporary files while they have much to say."""
    with (
        small_disk(place.folder / "disk", WORKER_MIB) as disk,
        trial(place, load, environments=_all(disk), logs=disk.folder) as tried,
    ):
        tried.wait(load.seconds / 4)
        disk.fill()
        tried.figures.hit("full disks", int(not disk.free_bytes))
        _let_partitions_move(tried)
        tried.wait(load.seconds / 4)
        disk.relieve()
        silent = len(tried.flock.log(0, whole=True))
        _let_partitions_move(tried)
        heard = tried.flock.wait_until(
            lambda: len(tried.flock.log(0, whole=True)) > silent, START_S
        )
        tried.figures.demand(heard, "the log did not go on when there was room")
    return tried.figures


def _let_partitions_move(tried: Trial) -> None:
    """Give those that stay something to log."""
    _, code = tried.flock.stop(1)
    tried.figures.demand(code == 0, f"slot 1 did not stop in order: {code}")
    tried.flock.start(1)


def read_only(place: Place, load: Load) -> Figures:
    """Forbid writing to the disk of bundle, home and temporary files, in the middle."""
    with small_disk(place.folder / "disk", WORKER_MIB) as disk:
        with trial(place, load, environments=_all(disk), bundle=disk.folder / "bundle") as tried:
            tried.wait(load.seconds / 4)
            disk.set_read_only(on=True)
            try:
                (disk.folder / "written").touch()
            except OSError:
                tried.figures.hit("refused writes")
            # A worker that starts now finds it so.
            tried.flock.kill(1)
            tried.flock.start(1)
            tried.wait(load.seconds)
        disk.set_read_only(on=False)
    return tried.figures


def _all(disk: SmallDisk) -> dict[int, dict[str, str]]:
    """Let two workers have all that they might write on this disk."""
    folder = str(disk.folder)
    return {slot: {"TMPDIR": folder, "HOME": folder, "XDG_CACHE_HOME": folder} for slot in (0, 1)}


def _see_unready(tried: Trial) -> None:
    """A worker says that it does not get on, and why."""
    said = tried.flock.wait_until(lambda: _reason(tried), SAYS_S)
    tried.figures.demand(said, "/readyz did not say that the broker is away")
    tried.figures.hit("reasons shown on /readyz", int(said))


def _see_ready(tried: Trial) -> None:
    again = tried.flock.wait_until(lambda: not _reason(tried), SAYS_S)
    tried.figures.demand(again, f"/readyz still says {_reason(tried)!r}")


def _reason(tried: Trial) -> str:
    said = tried.flock.page(0, "readyz").strip()
    return "" if said.startswith(("ready", "idle")) else said

"""Fit several CNNs at the same time, each in a process with one thread of its own.

On two cores this takes three quarters of the time that one after the other takes with two threads
each, on more cores less, and what comes out does not depend on how many there are. Pixels and
models pass as files.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.progress import Progress
from train.errors import CollapsedError, TrainError
from train.image_rows import ImageRows
from train.quiet_keras import load
from train.settings import TrainSettings
from train.unseen import Fitted

Curve = tuple[dict[str, float], ...]


@dataclass(frozen=True, slots=True)
class FittedCnn:
    """A CNN, its figures by epoch, how many runs before it collapsed, and whether it knows more of
    the labels than how frequent each is.
    """

    fitted: Fitted[Any]
    learning_curve: Curve
    collapsed_runs: int
    learned: bool


Fit = Callable[[ImageRows, TrainSettings, Progress, str, int], FittedCnn]
"""Rows, settings, progress, name and epochs to a CNN."""

# A new process imports TensorFlow, which is not safe to fork.
_PROCESSES: Final = multiprocessing.get_context("spawn")
STEP: Final = "training the CNNs"
_PIXELS: Final = "pixels.npy"
_LOOK_S: Final = 0.2
_END_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """A CNN's name, and the rows that it learns from."""

    name: str
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process is given: `rows` without their pixels, which are in the folder."""

    folder: Path
    number: int
    lesson: Lesson
    rows: ImageRows
    settings: TrainSettings
    epochs: int
    fit: Fit
    parent: int

    @property
    def model(self) -> Path:
        return self.folder / f"{self.number}.keras"

    @property
    def figures(self) -> Path:
        return self.folder / f"{self.number}.json"

    @property
    def collapse(self) -> Path:
        return self.folder / f"{self.number}.txt"


def fit_side_by_side(
    fit: Fit,
    rows: ImageRows,
    lessons: Sequence[Lesson],
    settings: TrainSettings,
    progress: Progress,
    epochs: int,
) -> list[FittedCnn]:
    """What `fit` gives for each lesson, in their order; `fit` is a function of a module.

    Raises CollapsedError when `fit` does, TrainError when a process ends before its CNN is fitted.
    """
    with tempfile.TemporaryDirectory(prefix="tuwen-cnn-") as scratch:
        folder = Path(scratch)
        np.save(folder / _PIXELS, rows.pixels)
        bare = replace(rows, pixels=np.empty(0, np.uint8))
        tasks = [
            _Task(folder, number, lesson, bare, settings, epochs, fit, os.getpid())
            for number, lesson in enumerate(lessons)
        ]
        _run(tasks, progress)
        return [_fitted(task) for task in tasks]


def _fitted(task: _Task) -> FittedCnn:
    _, keras = load()
    model = keras.models.load_model(task.model)
    curve, collapsed, learned = json.loads(task.figures.read_text(encoding="utf-8"))
    ids = frozenset(task.rows.ids[row] for row in task.lesson.rows)
    return FittedCnn(Fitted(task.lesson.name, model, ids), tuple(curve), collapsed, learned)


def _run(tasks: Sequence[_Task], progress: Progress) -> None:
    """As many processes at a time as there are processors; none outlives this."""
    told = _Told(progress, len(tasks))
    heard = _PROCESSES.Queue()
    waiting, running = list(tasks), dict[int, BaseProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < _processors():
                task = waiting.pop(0)
                running[task.number] = _started(task, heard)
            with contextlib.suppress(Empty):
                told(*heard.get(timeout=_LOOK_S))
            for number in [number for number, each in running.items() if not each.is_alive()]:
                _check(running.pop(number), tasks[number])
                told(tasks[number].lesson.name, tasks[number].epochs, tasks[number].epochs, "done")
    finally:
        for process in running.values():
            _end(process)


class _Told:
    """One step of progress out of those of all processes."""

    def __init__(self, progress: Progress, tasks: int) -> None:
        self._progress, self._tasks = progress, tasks
        self._done: dict[str, int] = {}

    def __call__(self, name: str, done: int, total: int, note: str) -> None:
        self._done[name] = done
        self._progress(STEP, sum(self._done.values()), self._tasks * total, f"{name}: {note}")


def _started(task: _Task, heard: Any) -> BaseProcess:
    process = _PROCESSES.Process(target=_learn, args=(task, heard), daemon=True)
    process.start()
    return process


def _check(process: BaseProcess, task: _Task) -> None:
    process.join()
    if task.collapse.exists():
        raise CollapsedError(task.collapse.read_text(encoding="utf-8"))
    if process.exitcode or not task.figures.exists():
        raise TrainError(
            f"the process that trained the {task.lesson.name} ended with exit code "
            f"{process.exitcode}: is there memory enough for {_processors()} at a time?"
        )


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(_END_S)
    if process.is_alive():
        process.kill()
        process.join()


def _learn(task: _Task, heard: Any) -> None:
    """In a process of its own: fit, and write model and figures, or why there are none."""
    # Ctrl-C reaches the parent as well, which ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf, _ = load()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    pixels = np.load(task.folder / _PIXELS, mmap_mode="r")
    rows = replace(task.rows, pixels=pixels).chosen(task.lesson.rows)
    tell = Teller(task.lesson.name, task.parent, heard)
    try:
        cnn = task.fit(rows, task.settings, tell, task.lesson.name, task.epochs)
    except CollapsedError as error:
        task.collapse.write_text(str(error), encoding="utf-8")
        return
    cnn.fitted.model.save(task.model)
    figures = [cnn.learning_curve, cnn.collapsed_runs, cnn.learned]
    task.figures.write_text(json.dumps(figures), encoding="utf-8")


class Teller:
    """Progress in such a process: told to the parent, for as long as there is one."""

    def __init__(self, name: str, parent: int, heard: Any) -> None:
        self._name, self._parent, self._heard = name, parent, heard

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Pass it on; SystemExit when the parent is gone and nobody waits for the CNN."""
        if os.getppid() != self._parent:
            raise SystemExit(f"{step}: nobody waits for the {self._name} any more")
        self._heard.put((self._name, done, total, note))


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

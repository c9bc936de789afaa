"""Corpus, models, bundle and report: made anew, or used again when nothing has changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import msgspec

from schemas.progress import Progress
from tuwen.demo.fingerprint import fingerprint
from tuwen.demo.layout import DemoSettings, Layout
from tuwen.demo.messages import Broken, Finished, Message, Step
from tuwen.demo.running import Running
from tuwen.demo.stages import Stages
from tuwen.demo.workers import last_words
from tuwen.failures import Failed

CORPUS: Final = "Demo corpus: composed texts, drawn faces"
TRAINING: Final = "Training: text, image, fusion"
EXPORT: Final = "Export to ONNX, behind the parity gate"
BUILD_MODULE: Final = ["-P", "-m", "tuwen.demo.build"]
TITLES: Final = {"corpus": CORPUS, "training": TRAINING, "export": EXPORT}


class Made(msgspec.Struct, frozen=True):
    """The content of `made.json`: what was made, and what there is to say of it."""

    fingerprint: str
    words: dict[str, list[str]]
    seconds: dict[str, float]


def make(running: Running, layout: Layout, settings: DemoSettings, stages: Stages) -> Made:
    """Make all three, or find them made.

    Raises:
        Failed: a stage failed; it says why.
    """
    now = fingerprint(settings.made_from)
    if settings.making == "reuse" and (found := _found(layout, now)) is not None:
        for stage, title in TITLES.items():
            stages.skip([title], "used again: nothing that it is made from has changed")
            stages.say(*found.words.get(stage, ()))
        return found
    for file in (layout.made, layout.report):
        file.unlink(missing_ok=True)
    for folder in (layout.corpus, layout.models, layout.bundle):
        # What a killed run was writing lies beside the folder, under a name of its own.
        for path in (folder, *layout.root.glob(f".{folder.name}.*")):
            shutil.rmtree(path, ignore_errors=True)
    made = _built(running, layout, settings, stages, now)
    layout.made.write_bytes(msgspec.json.encode(made))
    return made


def _found(layout: Layout, now: str) -> Made | None:
    try:
        made = msgspec.json.decode(layout.made.read_bytes(), type=Made)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    there = layout.bundle.is_dir() and layout.corpus.is_dir() and layout.report.is_file()
    return made if there and made.fingerprint == now else None


def _built(
    running: Running, layout: Layout, settings: DemoSettings, stages: Stages, now: str
) -> Made:
    sizes = [settings.seed, settings.train_posts, settings.test_posts]
    command = [sys.executable, *BUILD_MODULE, str(layout.root), *map(str, sizes)]
    layout.build_log.unlink(missing_ok=True)
    child = running.start("training", command, layout.build_log, os.environ, "pipe")
    try:
        messages = _messages(child)
        finished = []
        for title in TITLES.values():
            with stages.stage(title) as progress:
                finished.append(_follow(messages, progress, layout))
            stages.say(*finished[-1].words)
    finally:
        running.end(child, grace_s=2)
    return Made(
        now,
        {one.stage: list(one.words) for one in finished},
        {one.stage: one.seconds for one in finished},
    )


def _messages(child: "subprocess.Popen[bytes]") -> Iterator[Message]:
    decoder = msgspec.json.Decoder(Message)
    assert child.stdout is not None
    for line in child.stdout:
        yield decoder.decode(line)


def _follow(messages: Iterator[Message], progress: Progress, layout: Layout) -> Finished:
    """Draw the steps of one stage until it is finished."""
    for message in messages:
        match message:
            case Step(step, done, total, note):
                progress(step, done, total, note)
            case Finished():
                return message
            case Broken(text):
                raise Failed(text)
    log = layout.build_log
    raise Failed(f"training ended without a word of why: {last_words(log)} (see {log})")

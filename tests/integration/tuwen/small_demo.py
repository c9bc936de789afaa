"""A demo that takes seconds: few posts, and a bundle that nobody had to train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
from PIL import Image

from tests.tiny_bundle import LABELS, write_tiny_bundle
from tuwen.demo.fingerprint import fingerprint
from tuwen.demo.layout import DemoSettings, Layout
from tuwen.demo.making import Made

STEADY = 120
BURST = 300
RATE = 60.0
ROWS = 40


def small_settings(folder: Path) -> DemoSettings:
    """The settings of a small demo in this folder."""
    return DemoSettings(
        folder=folder,
        train_posts=100,
        test_posts=ROWS,
        steady_posts=STEADY,
        burst_posts=BURST,
        rate_per_s=RATE,
    )


def write_made(folder: Path) -> None:
    """Write what a first run would have made, so that a demo finds it."""
    layout = Layout(folder)
    write_tiny_bundle(layout.bundle)
    (layout.corpus / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), (255, 255, 255)).save(layout.corpus / "images" / "bright.jpg")
    lines = [json.dumps(_row(number), ensure_ascii=False) for number in range(ROWS)]
    (layout.corpus / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    layout.report.write_text("the report of that run", encoding="utf-8")
    made = Made(fingerprint(small_settings(folder).made_from), {"training": ["as made"]}, {})
    layout.made.write_bytes(msgspec.json.encode(made))


def _row(number: int) -> dict[str, object]:
    image = "images/bright.jpg" if number % 4 else None
    return {"id": f"row-{number}", "text": "很好", "image": image, "label_name": LABELS[0]}


def start_demo(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    """Start the command in a folder of its own."""
    command = [sys.executable, "-P", "-m", "tuwen", "demo", "--state", str(folder)]
    command += ["--train-posts", "100", "--test-posts", str(ROWS)]
    command += ["--steady-posts", str(STEADY), "--burst-posts", str(BURST), "--rate", str(RATE)]
    return subprocess.Popen(
        [*command, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        cwd=folder.parent,
    )


def processes_of(folder: Path) -> list[list[str]]:
    """The command lines of all processes that name the folder, in arguments or as their own."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        within = (process.info["cwd"] or "").startswith(str(folder))
        if process.pid != os.getpid() and (within or any(str(folder) in part for part in line)):
            found.append(line)
    return found

"""Where the demo keeps what, all of it in one folder, and what a run can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

FOLDER: Final = Path(".tuwen/demo")
GROUP: Final = "tuwen-demo"

Making = Literal["reuse", "fresh"]
Ending = Literal["stop", "keep"]


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """How a run goes. The defaults are the demo; tests take less of everything."""

    folder: Path = FOLDER
    making: Making = "reuse"
    ending: Ending = "stop"
    seed: int = 7
    train_posts: int = 4_000
    test_posts: int = 1_000
    steady_posts: int = 4_000
    rate_per_s: float = 250.0
    burst_posts: int = 6_000
    processes: int = 2
    picture: Path | None = None

    @property
    def made_from(self) -> dict[str, object]:
        """The settings that corpus and bundle depend on."""
        return {
            "seed": self.seed,
            "train_posts": self.train_posts,
            "test_posts": self.test_posts,
        }


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths beneath the demo's folder, which is the workers' image root too."""

    root: Path

    @property
    def corpus(self) -> Path:
        """Generated posts and faces."""
        return self.root / "corpus"

    @property
    def models(self) -> Path:
        """What training left for export."""
        return self.root / "models"

    @property
    def bundle(self) -> Path:
        """What the workers serve."""
        return self.root / "bundle"

    @property
    def report(self) -> Path:
        """What was trained and exported, for people; `report.json` lies beside it."""
        return self.root / "report.html"

    @property
    def made(self) -> Path:
        """What corpus and bundle were made from."""
        return self.root / "made.json"

    @property
    def kafka(self) -> Path:
        """State of the local Kafka."""
        return self.root / "kafka"

    @property
    def run(self) -> Path:
        """What the last run sent, got and logged."""
        return self.root / "run"

    @property
    def bad_images(self) -> Path:
        """Images that cannot be had."""
        return self.root / "bad-images"

    @property
    def sent(self) -> Path:
        """Every post of the run, with its truth."""
        return self.run / "sent.jsonl"

    @property
    def settings(self) -> Path:
        """The workers' settings."""
        return self.run / "worker.toml"

    @property
    def worker_log(self) -> Path:
        """What the workers logged."""
        return self.run / "worker.log"

    @property
    def build_log(self) -> Path:
        """What training and export said."""
        return self.root / "build.log"

    @property
    def metrics(self) -> Path:
        """The workers' metrics at the end."""
        return self.run / "metrics.txt"

    @property
    def summary(self) -> Path:
        """The figures of the run, for a program."""
        return self.run / "summary.json"

    @property
    def running(self) -> Path:
        """Which processes the demo has started."""
        return self.root / "running.json"

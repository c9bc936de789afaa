"""What exactly once costs against at-least-once: throughput on posts of text and image, by turns.

    python -m benchmarks.delivery_cost [--rounds N] [--posts N]

Both are measured on one Kafka in one run, in turns (the first of each round changes), so that what
else the machine does meets both alike. The medians are compared; at most 10 % may be the cost.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.end_to_end import FULL, Figures, measure
from benchmarks.provenance import commit, machine
from tuwen import local_kafka

DELIVERIES: Final = ("exactly-once", "at-least-once")
COST_MAX: Final = 0.10


@dataclass(frozen=True, slots=True)
class Cost:
    """The rounds of both."""

    rounds: Mapping[str, Sequence[Figures]]

    def posts_per_s(self, delivery: str) -> float:
        """The median throughput of one of them."""
        return median(each.posts_per_s for each in self.rounds[delivery])

    def cpu_us(self, delivery: str) -> float:
        """The median CPU µs of a post, at the speed of the yardstick's machine."""
        return median(each.at_target_speed_us for each in self.rounds[delivery])

    @property
    def share(self) -> float:
        """The part of the throughput of at-least-once that exactly once costs."""
        once, more = map(self.posts_per_s, DELIVERIES)
        return 1 - once / more


def cost(folder: Path, rounds: int, posts: int) -> Cost:
    """Measure both in turns, on a Kafka of their own; a post without its verdict raises."""
    scenario = replace(FULL[1], posts=posts)
    found: dict[str, list[Figures]] = {delivery: [] for delivery in DELIVERIES}
    kafka = local_kafka.start(folder / "kafka", heap_mb=1024, compiler="full")
    try:
        for number in range(rounds):
            for delivery in DELIVERIES[:: -1 if number % 2 else 1]:
                group = f"{delivery}-{number}"
                figures = measure(
                    scenario, kafka.bootstrap_servers, 1, folder, delivery=delivery, group=group
                )
                found[delivery].append(figures)
    finally:
        local_kafka.erase(folder / "kafka")
    return Cost(found)


def main() -> int:
    """Print the medians; exit 1 when exactly once costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--posts", type=int, default=30_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = cost(Path(folder), asked.rounds, asked.posts)
    print(f"{machine()}, commit {commit()}")  # noqa: T201 -- its product.
    for delivery in DELIVERIES:
        each = ", ".join(f"{one.posts_per_s:.0f}" for one in found.rounds[delivery])
        line = (
            f"{found.posts_per_s(delivery):6.0f} posts/s of {each}; {found.cpu_us(delivery):.0f} µs"
        )
        print(f"{delivery:<14} {line}")  # noqa: T201 -- as above.
    print(f"exactly once costs {found.share:.1%} of the throughput, at most {COST_MAX:.0%}")  # noqa: T201 -- as above.
    return 0 if found.share <= COST_MAX else 1


if __name__ == "__main__":
    sys.exit(main())

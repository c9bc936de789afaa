"""Measure what exactly once costs of the throughput of at-least-once; no fault but that."""

from typing import Final

from benchmarks.delivery_cost import COST_MAX, DELIVERIES, cost
from tests.chaos.scenario import Figures, Load, Place

TURNS: Final = len(DELIVERIES)


def run(place: Place, load: Load) -> Figures:
    """Take so many rounds as the load has faults, by turns, on a Kafka with all of its speed."""
    found = cost(place.folder, load.faults, load.posts // TURNS // load.faults)
    figures = Figures(posts=load.posts, hits={"rounds": load.faults})
    for delivery in DELIVERIES:
        figures.shown[delivery] = f"{found.posts_per_s(delivery):,.0f} posts/s"
    figures.shown["cost"] = f"{found.share:.1%}"
    figures.demand(found.share <= COST_MAX, f"{found.share:.1%} of the throughput")
    return figures

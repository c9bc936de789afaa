"""The table of scenarios: a line each; its module says what is done, and what must hold."""

from typing import Final

from tests.chaos import small_disk
from tests.chaos.scenario import Load, Scenario
from tests.chaos.scenarios import (
    any_order,
    broker_outage,
    delivery_cost,
    failpoints,
    full_disks,
    http_images,
    killing,
    killing_poison,
    late_delivery,
    limits,
    network,
    poisoning,
    rebalance_storm,
    replaying,
    rolling,
    scaling,
    soaking,
    wrong_clocks,
    zombies,
)

SCENARIOS: Final = (
    Scenario(
        "kill",
        "kill -9 of random workers of 3, some of them between flush and commit",
        killing.run,
        Load(100_000, 200.0, faults=50),
        Load(2_000, 14.0, faults=3),
    ),
    Scenario(
        "images",
        "kill -9 of random workers of 3, images by http, one host in five silent",
        http_images.run,
        Load(20_000, 48.0, faults=10),
        Load(2_000, 14.0, faults=3),
    ),
    Scenario(
        "failpoints",
        "a worker of 3 kills itself at each place of its commit, start, rebalance and close",
        failpoints.run,
        Load(120_000, 2_400.0, faults=20),
        Load(2_000, 60.0, faults=1),
    ),
    Scenario(
        "zombies-stopped",
        "a worker of 3 stopped in its commit past its session, and woken",
        zombies.stopped,
        Load(60_000, 300.0, faults=20),
        Load(3_000, 12.0, faults=1),
    ),
    Scenario(
        "zombies-stalled",
        "the poll thread of a worker of 3 stalled past max.poll.interval, its IO thread alive; "
        "then a commit of before that",
        zombies.stalled,
        Load(60_000, 300.0, faults=20),
        Load(3_000, 12.0, faults=1),
    ),
    Scenario(
        "late-delivery",
        "records of an open transaction given up by their delivery timeout",
        late_delivery.run,
        Load(100_000, 400.0, faults=100),
        Load(4_000, 16.0, faults=2),
    ),
    Scenario(
        "broker-stopped",
        "the broker stopped cleanly under load, and started again",
        broker_outage.stopped,
        Load(40_000, 200.0, faults=10),
        Load(2_000, 10.0, faults=1),
    ),
    Scenario(
        "broker-killed",
        "the broker ended by kill -9 under load, and started again",
        broker_outage.killed,
        Load(40_000, 200.0, faults=10),
        Load(2_000, 10.0, faults=1),
    ),
    Scenario(
        "network-latency",
        "network between workers and broker: 200 ms of latency",
        network.latency,
        Load(24_000, 120.0),
        Load(1_000, 10.0),
    ),
    Scenario(
        "network-resets",
        "network between workers and broker: one answer in twenty a reset",
        network.resets,
        Load(24_000, 120.0),
        Load(1_000, 10.0),
    ),
    Scenario(
        "network-black-hole",
        "network between workers and broker: nothing passes for 30 s, and nobody is told",
        network.black_hole,
        Load(24_000, 120.0),
        Load(1_000, 10.0),
    ),
    Scenario(
        "network-half-open",
        "network between workers and broker: each 10 s all connections go silent, and stay open",
        network.half_open,
        Load(24_000, 120.0),
        Load(1_000, 10.0),
    ),
    Scenario(
        "network-trickle",
        "network between workers and broker: answers at 20 KiB/s a connection",
        network.trickle,
        Load(24_000, 120.0),
        Load(1_000, 10.0),
    ),
    Scenario(
        "rebalance-storm",
        "a bare member joins the group of 2 workers or leaves it, each second",
        rebalance_storm.run,
        Load(400_000, 216.0),
        Load(40_000, 18.0),
    ),
    Scenario(
        "disk-full-broker",
        "the disk of the broker's log full under load; room again, and the broker started again",
        full_disks.of_broker,
        Load(12_000, 40.0),
        Load(2_000, 8.0),
        small_disk.lacking,
    ),
    Scenario(
        "disk-full-worker",
        "the disk of the workers' logs and temporary files full under load",
        full_disks.of_worker,
        Load(12_000, 40.0),
        Load(2_000, 8.0),
        small_disk.lacking,
    ),
    Scenario(
        "read-only",
        "the file system of bundle, home and temporary files made read-only under load",
        full_disks.read_only,
        Load(12_000, 40.0),
        Load(2_000, 8.0),
        small_disk.lacking,
    ),
    Scenario(
        "clocks",
        "the wall clocks of two workers of 3 two hours fast and slow, monotonic time right",
        wrong_clocks.run,
        Load(20_000, 60.0),
        Load(1_500, 6.0),
        wrong_clocks.lacking,
    ),
    Scenario(
        "limits",
        "posts, verdicts and dead letters a byte under, at and over each limit of a topic",
        limits.run,
        Load(limits.POSTS, 30.0),
        Load(limits.POSTS, 6.0),
    ),
    Scenario(
        "soak",
        "70 % of the load that can be borne, text and image, for long",
        soaking.run,
        Load(20_000, 1_800.0),
        Load(4_000, 60.0),
    ),
    Scenario(
        "cost",
        "exactly once beside at-least-once, posts of text and 320×240 JPEG, medians by turns",
        delivery_cost.run,
        Load(300_000, 0.0, faults=5),
        Load(40_000, 0.0, faults=2),
    ),
    Scenario(
        "scale",
        "one worker, two, one again",
        scaling.run,
        Load(9_000, 45.0),
        Load(1_500, 12.0),
    ),
    Scenario(
        "rolling",
        "rolling restart of 4 workers, static members that stay in their group",
        rolling.run,
        Load(9_000, 45.0),
        Load(4_000, 20.0),
    ),
    Scenario(
        "replay",
        "replay of dead letters, killed in the middle",
        replaying.run,
        Load(10_000, 0.0, faults=10),
        Load(2_400, 0.0, faults=6),
    ),
    Scenario(
        "poison",
        "posts that make a model of real size raise, 1 % of each second backlog",
        poisoning.run,
        Load(1_000_000, 0.0),
        Load(6_000, 0.0),
    ),
    Scenario(
        "any-order",
        "any order of polls, commits, crashes, rebalances, timeouts and lost answers, found by "
        "Hypothesis, on the cluster in memory",
        any_order.run,
        Load(0, 0.0, faults=100_000),
        Load(0, 0.0, faults=10_000),
    ),
    Scenario(
        "killing-poison",
        "posts that crash the process that works on them, or have it killed as by a kernel out of "
        "memory, and 1 % that make the model raise; workers that died are started again",
        killing_poison.run,
        Load(60_000, 300.0, faults=5),
        Load(2_000, 40.0, faults=1),
    ),
)


def by_name(name: str) -> Scenario:
    """Find a line of the table."""
    return next(each for each in SCENARIOS if each.name == name)

"""What a post costs whose image comes by http: `python -m benchmarks.http_posts [POSTS]`.

The same pictures by file, by http from hosts on loopback that answer after 20 ms, and by http with
one host in five that never answers: through a whole worker, Kafka to Kafka, one after the other.
What else is said goes to the worker: `--batch-records-max 64`.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.end_to_end import PARTITIONS, Figures, Pictured, Scenario, measure
from benchmarks.image_hosts import HOSTS, hosts
from benchmarks.real_size_bundle import write_pictures
from benchmarks.yardstick import TARGETS_US
from tuwen import local_kafka

POSTS: Final = 10_000
WARM_UP: Final = 1_000
TARGET_US: Final = 750.0


def by_http(ports: Sequence[int], asked: Sequence[int]) -> Pictured:
    """Have pictures on the hosts `asked`, each under a reference of its own.

    Each partition has posts of all hosts: a batch of one host's alone waits for its turns.
    """

    def reference(number: int, name: str) -> str:
        port = asked[number // PARTITIONS % len(asked)]
        return f"http://127.0.0.1:{port}/{name}?{number}"

    return Pictured(
        reference,
        (
            *("--image-allowed-hosts", "127.0.0.1", "--image-networks", "127.0.0.0/8"),
            *("--image-ports", ",".join(map(str, ports))),
        ),
    )


def said(found: Figures) -> str:
    """Tell what was found."""
    return (
        f"{found.scenario.name}: {found.cpu_us:.0f} µs CPU a post, {found.at_target_speed_us:.0f} "
        f"at {TARGETS_US:.0f} µs a yardstick, at most {found.scenario.target_us:.0f} wanted; "
        f"{found.posts_per_s:.0f} posts/s"
    )


def main(words: Sequence[str]) -> int:
    """Measure all three, and print them."""
    parser = argparse.ArgumentParser(prog="benchmarks.http_posts")
    parser.add_argument("posts", type=int, nargs="?", default=POSTS)
    told, flags = parser.parse_known_args(words)
    out = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder, state = Path(scratch), Path(scratch) / "kafka"
        write_pictures(folder / "pictures")
        kafka = local_kafka.start(state, heap_mb=1024, compiler="full")
        try:
            with hosts(str(folder / "pictures")) as ports:
                for group, name, pictured in (
                    ("file", "by file", None),
                    ("http", "by http", by_http(ports, ports[:HOSTS])),
                    ("dead", "by http, one host in five dead", by_http(ports, ports)),
                ):
                    found = measure(
                        Scenario(name, True, WARM_UP, told.posts, TARGET_US),
                        *(kafka.bootstrap_servers, 1, folder),
                        group=group,
                        pictured=pictured,
                        flags=flags,
                    )
                    out.print(said(found), markup=False)
        finally:
            local_kafka.erase(state)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

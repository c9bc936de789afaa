"""Kill random workers whose posts' images come by http, from hosts of which one in five is silent.

All pictures are white, which speaks for the first label more than a bad text does for the last: so
the label of a verdict tells whether its image was used.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

from PIL import Image

from schemas.reasons import Reason
from tests.chaos.oracle import read_all
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.scenarios.killing import kill_under_load
from tests.chaos.sending import BAD_EVERY, Make, Posts, ordinary, post
from tests.chaos.topics import Topics
from tests.image_hosts import Handler, Loopback, loopback, request
from tests.tiny_bundle import LABELS

GOOD_HOSTS: Final = 4
LATENCY_S: Final = 0.02
WITH_IMAGE_MIN: Final = 0.9
"""A worker that starts while all others compute may give a host up that is only late."""
DEAD: Final = frozenset({Reason.IMAGE_TIMEOUT, Reason.IMAGE_HOST_UNAVAILABLE})


def run(place: Place, load: Load) -> Figures:
    """Kill, and hold each verdict against what its text and its host allow."""
    with loopback() as servers:
        ports = _hosts(servers)
        figures = kill_under_load(place, load, _settings(ports), Posts(_post_by(ports)))
    topics = Topics(place.servers, place.name)
    verdicts = read_all(topics, [topics.verdicts], "read_committed")
    _compare(figures, [json.loads(message.value() or b"") for message in verdicts])
    return figures


def _hosts(servers: Loopback) -> Sequence[int]:
    """Let all hosts listen, the silent one last; gives their ports."""
    file = BytesIO()
    Image.new("RGB", (8, 8), "white").save(file, "PNG")
    good = _late(file.getvalue())
    return [servers.serve(handler) for handler in (*[good] * GOOD_HOSTS, _silent)]


def _late(body: bytes) -> Handler:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            await asyncio.sleep(LATENCY_S)
            writer.write(answer)

    return handler


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def _settings(ports: Sequence[int]) -> Mapping[str, object]:
    return {
        "image_allowed_hosts": "127.0.0.1",
        "image_networks": "127.0.0.0/8",
        "image_ports": ",".join(map(str, ports)),
    }


def _post_by(ports: Sequence[int]) -> Make:
    """Each with an image of its own, of one host after the other."""

    def make(number: int) -> bytes:
        if number % BAD_EVERY == 0:
            return ordinary(number)
        image = f"http://127.0.0.1:{ports[number % len(ports)]}/{number}"
        return post(number, "好" if number % 2 else "坏", image=image)

    return make


def _compare(figures: Figures, verdicts: Sequence[Mapping[str, Any]]) -> None:
    good = [v for v in verdicts if int(v["id"]) % (GOOD_HOSTS + 1) < GOOD_HOSTS]
    dead = [v for v in verdicts if int(v["id"]) % (GOOD_HOSTS + 1) == GOOD_HOSTS]
    wrong = [v for v in verdicts if v["label"] != _expected(v)]
    figures.demand(not wrong, f"{len(wrong)} labels are not of what was used: {wrong[:1]}")
    silent = [v for v in good if "image" not in v["used"] and not v["missing"]]
    figures.demand(not silent, f"{len(silent)} verdicts do not say why they have no image")
    odd = [v for v in dead if v["missing"] not in DEAD]
    figures.demand(not odd, f"{len(odd)} verdicts have an image of a dead host: {odd[:1]}")
    share = sum("image" in v["used"] for v in good) / max(1, len(good))
    figures.demand(
        share >= WITH_IMAGE_MIN, f"only {share:.1%} of the images of good hosts were used"
    )
    figures.shown["images of good hosts that were used"] = f"{share:.2%}"


def _expected(verdict: Mapping[str, Any]) -> str:
    """What a white picture, or else the text, speaks for."""
    white = "image" in verdict["used"]
    return LABELS[0] if white or int(verdict["id"]) % 2 else LABELS[-1]

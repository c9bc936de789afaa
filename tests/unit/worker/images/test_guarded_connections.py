"""What stands between a guard and a socket, each by itself."""

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import reasons
from tests.image_hosts import answering, fixed
from tests.unit.worker.images.http_world import IMAGE, World
from worker.images.address_guard import guard
from worker.images.guarded_connections import GuardedResolver


class Answering(AbstractResolver):
    """Always the same answer; notes what it was asked."""

    def __init__(self, address: str) -> None:
        self.asked: list[str] = []
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the address."""
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


def test_a_name_with_one_bad_answer_is_refused_altogether(world: World) -> None:
    """Which of its addresses is dialled is up to whoever made the name."""
    host = world.host("good", answering(IMAGE))
    world.names.answer = fixed({"good.test": ["127.0.0.1", "10.0.0.1"]})
    assert reasons(world.source().fetch([f"{host}/"])) == [Reason.IMAGE_ADDRESS_FORBIDDEN]
    assert world.servers.dialled == []


def test_what_is_dialled_is_judged_whatever_was_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that gets past the resolver does not get to a connection."""
    host = world.host("good", answering(IMAGE))
    lying = Answering("10.0.0.1")
    monkeypatch.setattr(GuardedResolver, "resolve", lying.resolve)
    assert world.source().fetch([f"{host}/"]) == [
        ImageProblem(Reason.IMAGE_ADDRESS_FORBIDDEN, "the address is not public")
    ]
    assert lying.asked == ["good.test"]


@pytest.mark.parametrize(("ttl_s", "asked"), [(60, 1), (0, 3)])
def test_answers_are_kept_for_their_time_and_no_longer(
    world: World, ttl_s: int, asked: int
) -> None:
    """Three connections within the TTL ask once; without one, each asks."""
    host = world.host("good", answering(IMAGE, "Connection: close"))
    world.names.ttl_s = ttl_s
    source = world.source()
    assert [source.fetch([f"{host}/{path}"]) for path in "abc"] == [[IMAGE]] * 3
    assert world.names.asked == ["good.test"] * asked


def test_a_strangers_name_is_never_one_of_a_search_domain() -> None:
    """A listed host may be an inner name; any other is asked for as it stands."""
    names = Answering("8.8.8.8")

    async def resolved() -> None:
        resolver = GuardedResolver(guard("nas,*.inner", "80", any_public=True))
        await resolver.close()
        resolver._names = names  # type: ignore[assignment]
        for host in ("nas", "a.inner", "images.example"):
            await resolver.resolve(host, 80)

    asyncio.run(resolved())
    assert names.asked == ["nas", "a.inner", "images.example."]

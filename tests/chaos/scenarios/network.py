"""Have a bad network between workers and broker; sender and oracle go past it."""

import time
from collections.abc import Callable
from typing import Final

from tests.chaos.own_kafka import own_kafka
from tests.chaos.proxy import Fault, Proxy, proxy
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import Trial, trial

NONE: Final = Fault()
BLACK_HOLE_S: Final = 30.0
CALM_S: Final = 10.0
HALF_OPEN_EVERY_S: Final = 10.0


def latency(place: Place, load: Load) -> Figures:
    """Each answer comes 200 ms late."""
    return _run(place, load, lambda tried, net: _all_the_while(tried, net, Fault(delay_s=0.2)))


def resets(place: Place, load: Load) -> Figures:
    """One answer in twenty resets its connection."""
    return _run(place, load, lambda tried, net: _all_the_while(tried, net, Fault(resets=0.05)))


def trickle(place: Place, load: Load) -> Figures:
    """Answers come at 20 KiB a second."""
    return _run(place, load, lambda tried, net: _all_the_while(tried, net, Fault(trickle_s=0.05)))


def black_hole(place: Place, load: Load) -> Figures:
    """Nothing passes for 30 s, or a third of the load's time, and nobody is told."""

    def fault(tried: Trial, net: Proxy) -> None:
        length_s = min(BLACK_HOLE_S, load.seconds / 3)
        while tried.sending:
            tried.wait(min(CALM_S, load.seconds / 3))
            if tried.sending:
                net.set(Fault(swallows="all"))
                tried.wait(length_s)
                net.set(NONE)

    return _run(place, load, fault)


def half_open(place: Place, load: Load) -> Figures:
    """All connections that there are go silent, and stay open; new ones work."""

    def fault(tried: Trial, net: Proxy) -> None:
        while tried.sending:
            net.set(Fault(swallows="now"))
            tried.wait(HALF_OPEN_EVERY_S)

    return _run(place, load, fault)


def _all_the_while(tried: Trial, net: Proxy, fault: Fault) -> None:
    net.set(fault)
    while tried.sending:
        tried.wait(1.0)


def _run(place: Place, load: Load, fault: Callable[[Trial, Proxy], None]) -> Figures:
    with (
        own_kafka(place.folder / "kafka") as kafka,
        proxy(kafka.proxy_port, kafka.proxied_port, load.seed) as net,
        trial(
            Place(place.name, place.folder, kafka.servers), load, servers=kafka.proxied_servers
        ) as tried,
    ):
        fault(tried, net)
        net.set(NONE)
        tried.sender.join()
        ended_s = time.time()
    figures = tried.figures
    figures.hit("pieces of traffic hit", net.hits)
    figures.shown["last verdict after the fault"] = (
        f"{max(0.0, tried.follower.last_s - ended_s):.1f} s"
    )
    return figures

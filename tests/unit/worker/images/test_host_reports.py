import msgspec

from worker.images.host_reports import SHOWN_MAX, HostReport, merged, page, worst


def report(host: str, asked: int = 1, failed: int = 0, took_s: float = 0.0) -> HostReport:
    """How a host did."""
    return HostReport(host, asked, failed, took_s, left_alone=False)


def test_the_worst_failed_most_or_took_longest() -> None:
    """By failures first, then by the time of a request."""
    slow, dead, good = report("slow", 2, 0, 4.0), report("dead", 5, 5), report("good", 100, 0, 5.0)
    assert worst([good, slow, dead]) == [dead, slow, good]


def test_no_more_than_ten_are_shown() -> None:
    """Strangers name any number of hosts."""
    assert len(worst(report(str(n)) for n in range(100))) == SHOWN_MAX


def test_pages_of_several_workers_become_one() -> None:
    """A host counts once, and is left alone when any of them leaves it alone."""
    alone = HostReport("a:80", 2, 1, 0.5, left_alone=True)
    text = merged([page([report("a:80", 3, 1, 0.25), report("b:80")]), page([alone]), page([])])
    assert msgspec.json.decode(text, type=list[HostReport]) == [
        HostReport("a:80", 5, 2, 0.75, left_alone=True),
        report("b:80"),
    ]


def test_a_page_without_a_host_is_json_too() -> None:
    """Who reads it needs no other case."""
    assert msgspec.json.decode(page([])) == []

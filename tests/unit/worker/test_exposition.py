from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from worker.exposition import merged, page


def one_page(slot: str, posts: int) -> bytes:
    """The page of a worker that has labelled `posts`."""
    registry = CollectorRegistry()
    Counter("posts", "Posts.", ["label"], registry=registry).labels('积"极\n').inc(posts)
    Gauge("depth", "Depth.", registry=registry).set(posts)
    Histogram("seconds", "Time.", buckets=(1,), registry=registry).observe(posts)
    return page(registry, slot)


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """All samples of a page, as the client's own parser reads it."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_each_sample_carries_its_slot() -> None:
    """Whatever its other labels are."""
    assert samples(one_page("3", 2))[("posts_total", '积"极\n', "3")] == 2
    assert samples(one_page("3", 2))[("depth", "3")] == 2


def test_pages_of_several_workers_become_one() -> None:
    """All samples of all pages; each family is declared once, as Prometheus demands."""
    pages = [one_page("0", 1), one_page("1", 5)]
    assert samples(merged(pages)) == samples(pages[0]) | samples(pages[1])
    assert merged(pages).count(b"# TYPE posts_total counter") == 1


def test_the_page_holds_no_time_of_creation() -> None:
    """They would double the page, for nobody."""
    assert b"_created" not in one_page("0", 1)


def test_no_page_at_all_is_an_empty_one() -> None:
    """A parent whose children are all starting has nothing to tell of them."""
    assert merged([]) == b""

"""Posts whose images come by http, as they are measured through a worker."""

from benchmarks import http_posts


def test_each_post_has_a_reference_of_its_own_on_the_hosts_that_are_asked_in_turn() -> None:
    """Else a batch would fetch one picture once for several of its posts."""
    pictured = http_posts.by_http([1, 2, 3], [1, 2])
    references = [pictured.reference(number, "0000.jpg") for number in range(0, 16, 4)]
    assert references == [
        "http://127.0.0.1:1/0000.jpg?0",
        "http://127.0.0.1:2/0000.jpg?4",
        "http://127.0.0.1:1/0000.jpg?8",
        "http://127.0.0.1:2/0000.jpg?12",
    ]
    assert pictured.flags[-1] == "1,2,3"

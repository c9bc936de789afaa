from hypothesis import given
from hypothesis import strategies as st

from tuwen.memory import Bounded


@given(st.lists(st.tuples(st.integers(0, 5), st.integers())), st.integers(1, 4))
def test_it_remembers_the_latest_and_no_more(items: list[tuple[int, int]], items_max: int) -> None:
    """Whatever comes, in whatever order; what is set anew is the latest again."""
    memory = Bounded[int, int](items_max)
    order: dict[int, int] = {}
    for key, value in items:
        memory[key] = value
        order.pop(key, None)
        order[key] = value

    latest = dict(list(order.items())[-items_max:])
    assert len(memory) == len(latest)
    assert {key: memory.get(key) for key in range(6)} == {key: latest.get(key) for key in range(6)}

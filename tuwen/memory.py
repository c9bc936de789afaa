"""A mapping that remembers only so many of the latest."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Forgets the oldest when there are more than `items_max`."""

    def __init__(self, items_max: int) -> None:
        self._items: OrderedDict[Key, Value] = OrderedDict()
        self._items_max = items_max

    def __setitem__(self, key: Key, value: Value) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._items_max:
            self._items.popitem(last=False)

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: Key) -> Value | None:
        """Give what is remembered, if it still is."""
        return self._items.get(key)

"""What the process that makes the bundle tells the demo, as lines of JSON."""

import msgspec


class Step(msgspec.Struct, frozen=True, tag=True):
    """Progress of one step."""

    step: str
    done: int
    total: int
    note: str = ""


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A stage is finished; `words` is what is worth reading of it, a line each."""

    stage: str
    seconds: float
    words: tuple[str, ...] = ()


class Broken(msgspec.Struct, frozen=True, tag=True):
    """It ended with an error; `text` is for the reader."""

    text: str


Message = Step | Finished | Broken
"""One line."""

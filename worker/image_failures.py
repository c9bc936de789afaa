"""The setting `on_image_failure` enters; what each reason against an image does to its post leaves.

degrade                              every reason alike, by the plain action
dead-letter,image-timeout=retry      one reason by its name, all others by the plain action
image-damaged=dead-letter            one reason by its name, all others as by default
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal, TypeVar, get_args

from schemas.reasons import Reason

Word = TypeVar("Word", bound=str)

Plain = Literal["degrade", "dead-letter"]
Action = Literal["degrade", "dead-letter", "retry"]

IMAGE_REASONS: Final = frozenset(reason for reason in Reason if reason.startswith("image-"))
"""Why an image cannot be had: all that may be named."""

MAY_PASS: Final = frozenset({Reason.IMAGE_HOST_UNAVAILABLE, Reason.IMAGE_TIMEOUT})
"""What is likely over soon: asked for again by default."""

MAY_RETRY: Final = MAY_PASS | {Reason.IMAGE_NOT_FOUND}
"""What another try can heal at all; an image may be put there just after its post was sent."""


@dataclass(frozen=True, slots=True)
class ImageFailures:
    """What to do when an image cannot be had: by reason, and `plain` for those not among them.

    A post whose retries are used up goes the way of `plain`.
    """

    plain: Plain
    by_reason: Mapping[Reason, Action]

    def action(self, reason: Reason) -> Action:
        """What becomes of a post, at first."""
        return self.by_reason.get(reason, self.plain)

    def at_last(self, reason: Reason) -> Plain:
        """What becomes of it once nothing is tried again."""
        action = self.action(reason)
        return self.plain if action == "retry" else action


BY_DEFAULT: Final = ImageFailures(
    "degrade", MappingProxyType(dict.fromkeys(sorted(MAY_PASS), "retry"))
)


def image_failures(text: str) -> ImageFailures:
    """Read the setting. Raises ValueError, which names what is not known and what is."""
    items = text.split(",")
    plain = [item for item in items if "=" not in item]
    named = dict(map(_named, (item for item in items if "=" in item)))
    if len(plain) + len(named) < len(items) or len(plain) > 1:
        raise ValueError("it names a reason twice, or two actions for all others")
    if not plain:
        return ImageFailures(BY_DEFAULT.plain, {**BY_DEFAULT.by_reason, **named})
    if plain[0] == "retry":
        raise ValueError("retry is for single reasons: name them, as image-timeout=retry")
    return ImageFailures(_known(plain[0], get_args(Plain), "action"), named)


def written(failures: ImageFailures) -> str:
    """The setting as it would be read again."""
    named = (f"{reason}={action}" for reason, action in failures.by_reason.items())
    return ",".join((failures.plain, *named))


def _named(item: str) -> tuple[Reason, Action]:
    name, _, what = item.partition("=")
    reason = Reason(_known(name, sorted(IMAGE_REASONS), "reason"))
    action: Action = _known(what, get_args(Action), "action")
    if action == "retry" and reason not in MAY_RETRY:
        raise ValueError(
            f"{reason} does not pass, however often it is tried: retry is for "
            f"{', '.join(sorted(MAY_RETRY))}"
        )
    return reason, action


def _known(word: str, known: Sequence[Word], what: str) -> Word:
    for one in known:
        if one == word:
            return one
    near = get_close_matches(word, known, n=1)
    meant = f" (is {near[0]} meant?)" if near else ""
    raise ValueError(f"{word!r} is no {what}{meant}: there are {', '.join(known)}")

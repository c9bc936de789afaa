"""What image sources answer, without what they say of the images' versions."""

from collections.abc import Sequence

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import Answer, Postponed, Unchanged, Versioned


def images(answers: Sequence[Answer]) -> list[bytes | ImageProblem]:
    """The bytes, or why there are none; of who knew nothing and asked for little."""
    return [_image(each) for each in answers]


def reasons(answers: Sequence[Answer]) -> list[bytes | Reason]:
    """The bytes, or the reason alone why there are none."""
    return [each.reason if isinstance(each, ImageProblem) else each for each in images(answers)]


def _image(answer: Answer) -> bytes | ImageProblem:
    assert not isinstance(answer, Unchanged | Postponed)
    return answer.content if isinstance(answer, Versioned) else answer

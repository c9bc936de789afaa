"""The samples that a child decodes before its locks close."""

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.unit.worker.images.decoder_child.decoders import SPEC
from worker.images.decoder_child import serving, warm_up


def test_every_kind_is_decoded_whole() -> None:
    """Whatever the worker's own caps are: what is refused unread imports nothing."""
    samples = tuple(warm_up.kinds())
    found = serving._decoded(samples, SPEC)
    assert len(found) > 15
    assert all(isinstance(one, bytes) for one in found)


def test_every_kind_is_damaged_as_well() -> None:
    """What Pillow raises comes from modules of its own too."""
    found = serving._decoded(tuple(warm_up.images()), SPEC)
    problems = [one for one in found if isinstance(one, ImageProblem)]
    assert {problem.reason for problem in problems} == {Reason.IMAGE_DAMAGED}
    assert len(problems) > 20

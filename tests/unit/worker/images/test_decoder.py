from io import BytesIO

import numpy as np
from PIL import Image

from features.images import ImageLimits, ImageProblem
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from worker.images.decoder import InProcessDecoder


def png(grey: int, size: tuple[int, int] = (20, 10)) -> bytes:
    """A picture of one grey."""
    written = BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(written, "PNG")
    return written.getvalue()


def test_a_bad_image_costs_itself_alone() -> None:
    """Pixels of the declared size and the reasons against the others, in order."""
    decoder = InProcessDecoder(ImageInput(8, 6), ImageLimits(10_000, 250))
    first, broken, large, last = decoder.decode([png(3), b"no image", png(4, (20, 20)), png(5)])
    assert not isinstance(first, ImageProblem)
    assert not isinstance(last, ImageProblem)
    assert np.array_equal(first, np.full((8, 6, 3), 3, np.uint8))
    assert np.array_equal(last, np.full((8, 6, 3), 5, np.uint8))
    reasons = [p.reason for p in (broken, large) if isinstance(p, ImageProblem)]
    assert reasons == [Reason.IMAGE_FORMAT_UNKNOWN, Reason.IMAGE_TOO_MANY_PIXELS]

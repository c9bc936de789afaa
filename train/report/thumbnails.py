"""Image files to small pictures within the page: `data:` URIs of a bounded size."""

import base64
import io
from pathlib import Path
from typing import Final

from PIL import Image

from features.images import ImageProblem, decode
from schemas.manifest import ImageInput
from train.prepared import LIMITS

SIDE: Final = 96
_SHOWN: Final = ImageInput(
    height=SIDE, width=SIDE, fit="letterbox", resize_filter="lanczos", alpha_ground=(128, 128, 128)
)
_QUALITY: Final = 80


def thumbnail(file: Path) -> str | None:
    """A JPEG of 96×96 pixels, drawn anew, so that nothing else of the file gets into the page;
    None where the image cannot be decoded.
    """
    pixels = decode(file.read_bytes(), _SHOWN, LIMITS)
    if isinstance(pixels, ImageProblem):
        return None
    drawn = io.BytesIO()
    Image.fromarray(pixels).save(drawn, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(drawn.getvalue()).decode("ascii")

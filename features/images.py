"""Image bytes to pixels uint8[H,W,C], or the reason why not: one treatment for every image.

The colours become RGB or grey; grey, palette, CMYK and 16-bit images (their high byte) alike.
What is transparent shows `alpha_ground`. EXIF's orientation is applied when `apply_exif`, then
the picture is stretched, cropped at the centre, or letterboxed on `alpha_ground` to the size.
Of an animation only the first frame counts.

JPEG in YCbCr or grey goes through simplejpeg, which decodes at the smallest of libjpeg's scales
(1/8 … 8/8) that still reaches 7/8 of the size asked for; everything else goes through Pillow.
"""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps

from features.image_header import DamagedHeader, Header, read
from schemas.manifest import ImageInput
from schemas.reasons import Reason

Pixels = NDArray[np.uint8]

DECODER: Final = "simplejpeg+pillow"

_FILTERS: Final = {
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_ORIENTATION_TAG: Final = 0x0112
_ORIENTATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """Why there are no pixels. `detail` tells of the file, never of its content.

    `again_s`: where the reason may pass, the seconds until to ask again may help; infinity where
    it will not while a post waits.
    """

    reason: Reason
    detail: str
    again_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What is refused unread. Pillow itself refuses or warns from 89,478,485 pixels on."""

    bytes_max: int
    pixels_max: int


def decoder_version() -> str:
    """The versions that decide the pixels, as a manifest records them."""
    import PIL

    return f"simplejpeg {simplejpeg.__version__}, pillow {PIL.__version__}"


def decode(image: bytes, spec: ImageInput, limits: ImageLimits) -> Pixels | ImageProblem:
    """The pixels that `spec` describes, or the problem. Raises for no bytes at all."""
    problem = too_large(image, limits)
    if problem is not None:
        return problem
    try:
        header = read(image)
    except DamagedHeader as error:
        return ImageProblem(Reason.IMAGE_DAMAGED, str(error))
    if header is None:
        return ImageProblem(
            Reason.IMAGE_FORMAT_UNKNOWN, "not JPEG, PNG, WebP, GIF or BMP by its first bytes"
        )
    if header.pixels > limits.pixels_max:
        return _too_many(header, limits)
    try:
        return _fitted(_opened(image, header, spec), spec)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return ImageProblem(Reason.IMAGE_TOO_MANY_PIXELS, "Pillow refuses so many pixels")
    except MemoryError:
        return ImageProblem(
            Reason.IMAGE_NEEDS_TOO_MUCH_MEMORY, f"{header.format} takes more memory than there is"
        )
    except Exception as error:  # noqa: BLE001 -- decoders raise all kinds for hostile bytes.
        return ImageProblem(
            Reason.IMAGE_DAMAGED, f"{header.format} cannot be decoded: {type(error).__name__}"
        )


def too_large(image: bytes, limits: ImageLimits) -> ImageProblem | None:
    """The problem of an image with too many bytes, before anything looks into it."""
    if len(image) <= limits.bytes_max:
        return None
    return ImageProblem(
        Reason.IMAGE_TOO_LARGE, f"{len(image)} bytes, at most {limits.bytes_max} are read"
    )


def _too_many(header: Header, limits: ImageLimits) -> ImageProblem:
    return ImageProblem(
        Reason.IMAGE_TOO_MANY_PIXELS,
        f"{header.width} x {header.height} pixels, at most {limits.pixels_max} are decoded",
    )


def _opened(image: bytes, header: Header, spec: ImageInput) -> Image.Image:
    """Upright, in RGB."""
    if header.format == "JPEG" and header.colours in {"YCbCr", "Gray"}:
        return _turned(_scaled_jpeg(image, spec), _jpeg_orientation(image, spec))
    with Image.open(BytesIO(image), formats=[header.format]) as picture:
        orientation = picture.getexif().get(_ORIENTATION_TAG, 1) if spec.apply_exif else 1
        return _turned(_in_rgb(picture, spec), orientation)


def _scaled_jpeg(image: bytes, spec: ImageInput) -> Image.Image:
    side = -(-max(spec.height, spec.width) * 7 // 8)
    pixels = simplejpeg.decode_jpeg(image, "RGBX", min_height=side, min_width=side)
    height, width, _ = pixels.shape
    # Pillow itself keeps RGB in four bytes a pixel: these it takes as they are, without a copy.
    # To call them RGB costs less than to resize a fourth channel.
    return Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1).convert("RGB")


def _jpeg_orientation(image: bytes, spec: ImageInput) -> int:
    """Few files carry EXIF, and to look for its marker costs nothing beside decoding."""
    if not spec.apply_exif or b"Exif\0\0" not in image:
        return 1
    with Image.open(BytesIO(image), formats=["JPEG"]) as picture:
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    method = _ORIENTATIONS.get(orientation)
    return picture if method is None else picture.transpose(method)


def _in_rgb(picture: Image.Image, spec: ImageInput) -> Image.Image:
    if picture.mode.startswith("I;16"):
        high = (np.asarray(picture, np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high).convert("RGB")
    if picture.has_transparency_data:
        ground = Image.new("RGBA", picture.size, (*spec.alpha_ground, 255))
        return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _fitted(picture: Image.Image, spec: ImageInput) -> Pixels:
    size = (spec.width, spec.height)
    method = _FILTERS[spec.resize_filter]
    if spec.fit == "crop":
        picture = ImageOps.fit(picture, size, method)
    elif spec.fit == "letterbox":
        picture = ImageOps.pad(picture, size, method, color=spec.alpha_ground)
    elif picture.size != size:
        picture = picture.resize(size, method)
    if spec.channels == 1:
        return np.asarray(picture.convert("L"))[:, :, None]
    return np.asarray(picture)

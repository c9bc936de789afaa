import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.reasons import Reason

SPEC = ImageInput(height=64, width=64)
LIMITS = ImageLimits(bytes_max=10 << 20, pixels_max=20_000_000)


def saved(picture: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    """The picture's bytes."""
    held = io.BytesIO()
    picture.save(held, name, **options)
    return held.getvalue()


def pixels_of(image: bytes, spec: ImageInput = SPEC) -> NDArray[np.uint8]:
    """The pixels, which there must be."""
    found = decode(image, spec, LIMITS)
    assert not isinstance(found, ImageProblem), found
    assert found.shape == (spec.height, spec.width, spec.channels)
    assert found.dtype == np.uint8
    return found


def problem_of(image: bytes, limits: ImageLimits = LIMITS) -> Reason:
    """The reason, which there must be."""
    found = decode(image, SPEC, limits)
    assert isinstance(found, ImageProblem)
    return found.reason


def gradient(width: int, height: int) -> Image.Image:
    """Dark on the left, bright on the right, red above, blue below."""
    across = np.linspace(0, 255, width, dtype=np.uint8)
    down = np.linspace(0, 255, height, dtype=np.uint8)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 1] = across
    pixels[..., 0], pixels[..., 2] = 255 - down[:, None], down[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(320, 240), (64, 64), (5, 9), (1, 1), (900, 40)])
def test_every_format_looks_alike(name: str, size: tuple[int, int]) -> None:
    """A smooth picture is what Pillow makes of it, within what the format loses."""
    picture = gradient(*size)
    expected = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    found = pixels_of(saved(picture, name)).astype(int)
    assert np.abs(found - expected).mean() < 12


def test_grey_palette_cmyk_and_16_bits_become_rgb() -> None:
    """One treatment: the colours that one sees; of 16 bits the high byte."""
    grey = Image.new("L", (20, 20), 100)
    deep = Image.fromarray(np.full((20, 20), 100 * 256 + 3, np.uint16))
    assert (pixels_of(saved(grey)) == 100).all()
    assert (pixels_of(saved(deep)) == 100).all()
    assert (pixels_of(saved(grey.convert("P"))) == 100).all()
    assert (pixels_of(saved(Image.new("1", (20, 20), 1))) == 255).all()
    assert np.abs(pixels_of(saved(grey, "JPEG")).astype(int) - 100).max() <= 1
    ink = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    red = pixels_of(saved(ink, "JPEG"))[32, 32].astype(int)
    assert red[0] > 200
    assert red[1] < 90


@pytest.mark.parametrize("ground", [(255, 255, 255), (10, 20, 30)])
def test_what_is_transparent_shows_the_ground(ground: tuple[int, int, int]) -> None:
    """As RGBA, as a palette's entry, and as the one colour of a PNG that counts as clear."""
    spec = ImageInput(height=64, width=64, alpha_ground=ground)
    clear = saved(Image.new("RGBA", (20, 20), (200, 0, 0, 0)))
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    for image in (
        clear,
        saved(palette, "PNG", transparency=1),
        saved(palette, "GIF", transparency=1),
        saved(Image.new("RGB", (20, 20), "red"), "PNG", transparency=(255, 0, 0)),
    ):
        assert (pixels_of(image, spec) == ground).all()
    half = pixels_of(saved(Image.new("RGBA", (9, 9), (200, 0, 0, 128))), spec)[0, 0]
    assert abs(int(half[0]) - (200 + ground[0]) // 2) <= 2


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(name: str, orientation: int) -> None:
    """Each of EXIF's eight orientations, unless the manifest says otherwise."""
    upright = gradient(80, 60)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = saved(stored, name, exif=exif)
    expected = np.asarray(upright.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(pixels_of(image).astype(int) - expected).mean() < 6
    as_stored = ImageInput(height=64, width=64, apply_exif=False)
    kept = np.asarray(stored.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(pixels_of(image, as_stored).astype(int) - kept).mean() < 6


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_picture_is_stretched_cropped_or_put_on_a_ground(name: str) -> None:
    """As the manifest says; a wide picture tells them apart."""
    wide = Image.new("RGB", (200, 50), "black")
    wide.paste("white", (0, 0, 50, 50))
    image = saved(wide, name, **({"quality": 95} if name == "JPEG" else {}))
    stretch = pixels_of(image)
    crop = pixels_of(image, ImageInput(64, 64, fit="crop"))
    ground = pixels_of(image, ImageInput(64, 64, fit="letterbox", alpha_ground=(255, 0, 0)))
    assert stretch[32, 4].min() > 200
    assert stretch[32, 40].max() < 50
    assert crop.max() < 50
    assert (ground[2] == (255, 0, 0)).all()
    assert ground[32, 4].min() > 200


def test_grey_input_is_one_channel() -> None:
    """By the weights that Pillow gives the colours."""
    spec = ImageInput(height=8, width=8, channels=1, colours="L")
    assert (pixels_of(saved(Image.new("RGB", (9, 9), (255, 0, 0))), spec) == 76).all()


def test_too_many_bytes_are_not_read() -> None:
    """The bound is the last that passes."""
    image = saved(Image.new("RGB", (9, 9)))
    assert not isinstance(decode(image, SPEC, ImageLimits(len(image), 100)), ImageProblem)
    assert problem_of(image, ImageLimits(len(image) - 1, 100)) == Reason.IMAGE_TOO_LARGE


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_too_many_pixels_are_not_decoded(name: str) -> None:
    """The header tells, so that no memory is taken for them."""
    image = saved(Image.new("L" if name == "PNG" else "RGB", (4000, 3000)), name)
    limits = ImageLimits(64 << 20, 4000 * 3000 - 1)
    tracemalloc.start()
    assert problem_of(image, limits) == Reason.IMAGE_TOO_MANY_PIXELS
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_pillows_own_refusal_is_the_same_problem() -> None:
    """Where the limit is set beyond Pillow's."""
    image = saved(Image.new("1", (20_000, 10_000)))
    found = decode(image, SPEC, ImageLimits(64 << 20, 1 << 40))
    assert isinstance(found, ImageProblem)
    assert found.reason == Reason.IMAGE_TOO_MANY_PIXELS


def test_an_image_that_takes_too_much_memory_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not damaged: where there is more memory it may be read."""

    def fail(*_: object, **_named: object) -> None:
        raise MemoryError

    monkeypatch.setattr("features.images.simplejpeg.decode_jpeg", fail)
    assert problem_of(saved(gradient(9, 9), "JPEG")) == Reason.IMAGE_NEEDS_TOO_MUCH_MEMORY


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_image_is_damaged(name: str, share: float) -> None:
    """Half a picture is none."""
    random = np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8)
    image = saved(Image.fromarray(random), name)
    assert problem_of(image[: int(len(image) * share)]) == Reason.IMAGE_DAMAGED


@pytest.mark.parametrize("image", [b"", b"hello", b"<svg/>", b"II*\0", b"\0" * 100])
def test_other_bytes_are_of_no_known_format(image: bytes) -> None:
    """By the first bytes, whatever the name says."""
    assert problem_of(image) == Reason.IMAGE_FORMAT_UNKNOWN


def test_hostile_images_give_pixels_or_a_reason(test_data: Path) -> None:
    """Of 169 made ones, those that must be refused are, and those that must be read are."""
    folder = test_data / "images_own" / "own_images"
    expectations = json.loads((folder / "expect.json").read_text("utf-8"))
    # A checksum that is wrong is forgiven by Pillow where the data can be read.
    forgiven = {"png_bad_crc.png"}
    wrong = []
    for name, expectation in expectations.items():
        found = decode((folder / name).read_bytes(), SPEC, LIMITS)
        refused = isinstance(found, ImageProblem)
        must = expectation["expect"]
        either = " or " in must or name in forgiven
        if not either and must.startswith("reject" if not refused else "accept"):
            wrong.append((name, must, found))
    assert len(expectations) == 169
    assert wrong == []


def test_pillows_own_bad_images_raise_nothing(test_data: Path) -> None:
    """Each gives pixels or a reason; the first formats that Pillow knows besides are refused."""
    files = [file for file in (test_data / "images_pillow").rglob("*") if file.is_file()]
    found = [decode(file.read_bytes(), SPEC, LIMITS) for file in files]
    assert len(files) > 100
    assert any(isinstance(each, ImageProblem) for each in found)
    assert any(isinstance(each, np.ndarray) for each in found)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]),
    changes=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 2000),
)
def test_no_bytes_raise(name: str, changes: list[tuple[int, int]], length: int) -> None:
    """Bytes changed and cut off anywhere give pixels or a reason."""
    image = bytearray(saved(gradient(30, 20), name))
    for place, value in changes:
        if place < len(image):
            image[place] = value
    found = decode(bytes(image[:length]), SPEC, LIMITS)
    assert isinstance(found, ImageProblem) or found.shape == (64, 64, 3)


def test_real_photographs_are_decoded(test_data: Path) -> None:
    """Two hundred of the corpus, near to what Pillow makes of the full picture."""
    files = sorted((test_data / "zh_pairs_dev" / "images").glob("*.jpg"))[:200]
    assert len(files) == 200
    for file in files:
        with Image.open(file) as picture:
            full = picture.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
        found = pixels_of(file.read_bytes())
        assert np.abs(found.astype(int) - np.asarray(full).astype(int)).mean() < 6

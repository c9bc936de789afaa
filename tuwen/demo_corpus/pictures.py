"""Turn a mood and a seed into the bytes of a picture: drawn large, made small, then worn."""

import io
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tuwen.demo_corpus.faces import draw_face
from tuwen.demo_corpus.moods import Mood
from tuwen.demo_corpus.pen import Colour, Pen, shade
from tuwen.demo_corpus.scenes import draw_scene

_SIDES = (64, 72, 80, 88, 96)
_SUPERSAMPLING = 3
_PNG_SHARE = 0.15
_BLURRED_SHARE = 0.2


def draw_picture(mood: Mood, seed: str) -> tuple[bytes, str]:
    """The file's bytes and its suffix; equal seeds give equal bytes."""
    chance = Random(seed)  # noqa: S311 - it draws pictures.
    side = chance.choice(_SIDES)
    canvas = _background(side * _SUPERSAMPLING, chance)
    pen = _pen(canvas, chance)
    if mood is Mood.NONE:
        draw_scene(pen, chance)
    else:
        draw_face(pen, mood, chance)
    small = canvas.resize((side, side), Image.Resampling.BOX)
    return _encoded(_worn(small, chance), chance)


def _pen(canvas: Image.Image, chance: Random) -> Pen:
    side = canvas.width
    centre = side * chance.uniform(0.44, 0.56), side * chance.uniform(0.44, 0.54)
    return Pen(
        ImageDraw.Draw(canvas), centre, side * chance.uniform(0.40, 0.50), chance.gauss(0, 0.11)
    )


def _background(side: int, chance: Random) -> Image.Image:
    colour = _pale(chance)
    canvas = Image.new("RGB", (side, side), colour)
    draw = ImageDraw.Draw(canvas)
    match chance.choice(("plain", "bands", "dots", "halves")):
        case "bands":
            steps = 24
            for step in range(steps):
                band = (0, side * step // steps, side, side * (step + 1) // steps)
                draw.rectangle(band, fill=shade(colour, 1.1 - 0.35 * step / steps))
        case "dots":
            for _ in range(14):
                x, y, r = chance.uniform(0, side), chance.uniform(0, side), side * 0.06
                draw.ellipse((x - r, y - r, x + r, y + r), fill=shade(colour, 0.88))
        case "halves":
            x, y = chance.uniform(0, side), chance.uniform(0, side)
            draw.polygon(((0, 0), (x, 0), (y, side), (0, side)), fill=_pale(chance))
    return canvas


def _pale(chance: Random) -> Colour:
    return chance.randint(120, 240), chance.randint(130, 240), chance.randint(130, 240)


def _worn(image: Image.Image, chance: Random) -> Image.Image:
    """Light, contrast, blur and grain of a photograph."""
    if chance.random() < _BLURRED_SHARE:
        image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0.4, 0.8)))
    grain = np.random.default_rng(chance.getrandbits(64)).standard_normal(
        (image.height, image.width, 1), dtype=np.float32
    )
    pixels = np.asarray(image, np.float32)
    gain, lift = chance.uniform(0.8, 1.12), chance.uniform(-14, 14)
    pixels = (pixels - 128) * gain + 128 + lift + grain * chance.uniform(1, 6)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image, chance: Random) -> tuple[bytes, str]:
    file = io.BytesIO()
    if chance.random() < _PNG_SHARE:
        image.save(file, "PNG")
        return file.getvalue(), ".png"
    image.save(file, "JPEG", quality=chance.randint(78, 93))
    return file.getvalue(), ".jpg"

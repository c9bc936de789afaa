"""Change a batch of images in ways that leave what they show: all by one seed."""

from collections.abc import Callable
from typing import Any

from train.quiet_keras import load

Change = Callable[[Any, Any], Any]
"""Pixels uint8[N,H,W,C] and a seed int32[2] to float32[N,H,W,C], 0..255."""

# Radians, share, share of the side, contrast, grey levels, share of the side.
_TURN, _ZOOM, _SHIFT, _CONTRAST, _LIGHT, _PATCH = 0.21, 0.12, 0.08, 0.25, 25.0, 0.14
_GREY = 127.5


def augmented(pixels: Any, seed: Any) -> Any:
    """float32[N,H,W,C] 0..255 of uint8[N,H,W,C]: mirrored, moved, relit, a patch covered.

    `seed` is int32[2]; equal seeds give equal images.
    """
    tf, _ = load()
    count, height, width = tf.shape(pixels)[0], pixels.shape[1], pixels.shape[2]

    def drawn(number: int, low: float, high: float) -> Any:
        return tf.random.stateless_uniform([count], seed + tf.constant([0, number]), low, high)

    moved = _moved(tf.cast(pixels, tf.float32), drawn, (height, width))
    contrast = drawn(6, 1 - _CONTRAST, 1 + _CONTRAST)[:, None, None, None]
    light = drawn(7, -_LIGHT, _LIGHT)[:, None, None, None]
    relit = (moved - _GREY) * contrast + _GREY + light
    uncovered = _uncovered(drawn, (height, width))
    return tf.clip_by_value(relit * uncovered + _GREY * (1 - uncovered), 0.0, 255.0)


def mirrored(pixels: Any, seed: Any) -> Any:
    """float32[N,H,W,C] 0..255: half of the images from the other side, nothing else."""
    tf, _ = load()
    draw = tf.random.stateless_uniform([tf.shape(pixels)[0]], seed)[:, None, None, None]
    images = tf.cast(pixels, tf.float32)
    return tf.where(draw < 0.5, images[:, :, ::-1], images)


def _moved(images: Any, drawn: Any, size: tuple[int, int]) -> Any:
    """Mirrored, turned, zoomed and shifted in one interpolation."""
    tf, _ = load()
    turn, zoom = drawn(1, -_TURN, _TURN), drawn(2, 1 - _ZOOM, 1 + _ZOOM)
    side = tf.sign(drawn(3, -1.0, 1.0))
    cos, sin = tf.cos(turn) * zoom, tf.sin(turn) * zoom
    middle_x, middle_y = (size[1] - 1) / 2, (size[0] - 1) / 2
    right = drawn(4, -_SHIFT, _SHIFT) * size[1] + middle_x * (1 - cos * side) + middle_y * sin
    down = drawn(5, -_SHIFT, _SHIFT) * size[0] - middle_x * sin * side + middle_y * (1 - cos)
    none = tf.zeros_like(turn)
    rows = [cos * side, -sin, right, sin * side, cos, down, none, none]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=size,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def _uncovered(drawn: Any, size: tuple[int, int]) -> Any:
    """float32[N,H,W,1]: 0 within a square of the image, 1 elsewhere."""
    tf, _ = load()
    half = drawn(8, 0.0, _PATCH) * size[0]
    inside = []
    for number, length in enumerate(size):
        centre = drawn(9 + number, 0.0, float(length))
        places = tf.range(length, dtype=tf.float32) + 0.5
        inside.append(tf.abs(places[None] - centre[:, None]) < half[:, None])
    covered = inside[0][:, :, None] & inside[1][:, None, :]
    return 1.0 - tf.cast(covered, tf.float32)[..., None]

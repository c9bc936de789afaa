"""Draw curves and filled shapes on a canvas in a tilted, scaled coordinate system."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from PIL import ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Pen:
    """Coordinates run from -1 to 1 around `centre`; `scale` is in pixels, `tilt` in radians."""

    draw: ImageDraw.ImageDraw
    centre: Point
    scale: float
    tilt: float

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the polygon of these points."""
        self.draw.polygon(self._placed(points), fill=colour)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """Fill an ellipse."""
        self.shape(arc(centre, radii, 0.0, 2 * pi), colour)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A line with round ends through these points."""
        placed = self._placed(points)
        pixels = max(1, round(width * self.scale))
        self.draw.line(placed, fill=colour, width=pixels, joint="curve")
        for x, y in (placed[0], placed[-1]):
            r = pixels / 2 - 0.5
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        c, s = cos(self.tilt) * self.scale, sin(self.tilt) * self.scale
        x0, y0 = self.centre
        return [(x0 + c * x - s * y, y0 + s * x + c * y) for x, y in points]


def arc(centre: Point, radii: Point, start: float, end: float, steps: int = 28) -> list[Point]:
    """Points of an ellipse from angle `start` to `end`, radians, clockwise as y grows downwards."""
    (x, y), (rx, ry) = centre, radii
    angles = (start + (end - start) * step / steps for step in range(steps + 1))
    return [(x + rx * cos(angle), y + ry * sin(angle)) for angle in angles]


def bow(left: Point, right: Point, depth: float, steps: int = 16) -> list[Point]:
    """A parabola from `left` to `right` whose middle hangs `depth` below the straight line."""
    points = []
    for step in range(steps + 1):
        t = step / steps
        sag = 4 * t * (1 - t) * depth
        points.append(
            (left[0] + (right[0] - left[0]) * t, left[1] + (right[1] - left[1]) * t + sag)
        )
    return points


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (below 1) or lighter (above 1)."""
    r, g, b = (max(0, min(255, round(part * factor))) for part in colour)
    return r, g, b


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` in `one`."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return r, g, b

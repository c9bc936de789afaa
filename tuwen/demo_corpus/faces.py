"""Draw a face whose brows, eyes and mouth show a mood; all else about it is chance."""

from dataclasses import dataclass
from math import pi
from random import Random

from tuwen.demo_corpus.moods import Mood
from tuwen.demo_corpus.pen import Colour, Pen, Point, arc, bow, mix, shade

_SKINS: tuple[Colour, ...] = (
    (255, 224, 196),
    (247, 206, 170),
    (236, 188, 150),
    (219, 165, 122),
    (190, 134, 94),
    (152, 102, 68),
    (110, 72, 48),
)
_HAIRS: tuple[Colour, ...] = (
    (32, 26, 24),
    (58, 40, 30),
    (98, 64, 38),
    (150, 104, 58),
    (208, 170, 104),
    (120, 118, 120),
    (144, 52, 36),
)
_IRISES: tuple[Colour, ...] = ((62, 42, 28), (40, 30, 26), (74, 98, 62), (70, 98, 132))
_CLOTHES: tuple[Colour, ...] = (
    (62, 92, 150),
    (176, 64, 66),
    (66, 128, 96),
    (232, 226, 216),
    (70, 70, 82),
    (226, 168, 66),
    (132, 92, 152),
)
_WHITE: Colour = (250, 250, 248)
_TEETH: Colour = (252, 250, 244)
_MOUTH_INSIDE: Colour = (110, 34, 40)


@dataclass(frozen=True, slots=True)
class Expression:
    """What a mood does to a face, in units of half the face's width; positive hangs down."""

    mouth_depth: float
    mouth_width: float
    open_by: float
    brow_inner: float
    brow_outer: float
    eye_open: float


@dataclass(frozen=True, slots=True)
class Person:
    """Everything that says nothing of the mood."""

    skin: Colour
    hair: Colour
    iris: Colour
    clothes: Colour
    turn: float
    width: float


def draw_face(pen: Pen, mood: Mood, chance: Random) -> None:
    """A head with shoulders; the mouth curves up, is straight, or curves down."""
    person = Person(
        skin=chance.choice(_SKINS),
        hair=chance.choice(_HAIRS),
        iris=chance.choice(_IRISES),
        clothes=chance.choice(_CLOTHES),
        turn=chance.uniform(-0.12, 0.12),
        width=chance.uniform(0.60, 0.70),
    )
    expression = _expression(mood, chance)
    style = chance.choice(("short", "long", "bun", "curly", "bald", "cap"))
    _hair_behind(pen, person, style)
    _head(pen, person)
    _cheeks(pen, person, mood, chance)
    for side in (-1.0, 1.0):
        _eye(pen, person, expression, side)
        _brow(pen, person, expression, side)
    _nose(pen, person, chance)
    _mouth(pen, person, expression)
    _hair_before(pen, person, style)
    _extras(pen, person, chance)


def _expression(mood: Mood, chance: Random) -> Expression:
    def around(value: float, spread: float) -> float:
        return chance.uniform(value - spread, value + spread)

    width = around(0.29, 0.05)
    if mood is Mood.GOOD:
        opened = around(0.10, 0.07) if chance.random() < 0.6 else 0.0
        return Expression(around(0.19, 0.06), width, opened, -0.02, 0.02, around(0.8, 0.25))
    if mood is Mood.BAD:
        opened = around(0.07, 0.03) if chance.random() < 0.3 else 0.0
        inner = chance.choice((around(0.09, 0.03), around(-0.08, 0.03)))
        return Expression(around(-0.16, 0.05), width, opened, inner, -inner / 2, around(0.85, 0.25))
    return Expression(around(0.0, 0.025), width, 0.0, 0.0, 0.0, around(0.9, 0.2))


def _head(pen: Pen, person: Person) -> None:
    dark = shade(person.skin, 0.84)
    pen.ellipse((0, 1.42), (0.98, 0.56), person.clothes)
    pen.shape(((-0.24, 0.55), (0.24, 0.55), (0.28, 0.98), (0, 1.1), (-0.28, 0.98)), dark)
    for side in (-1.0, 1.0):
        pen.ellipse((side * person.width - person.turn * 0.4, 0.05), (0.11, 0.17), dark)
    pen.ellipse((0, 0), (person.width, 0.84), dark)
    pen.ellipse((-0.02, -0.02), (person.width - 0.03, 0.81), person.skin)
    pen.ellipse((-0.12, -0.2), (person.width * 0.55, 0.45), shade(person.skin, 1.03))


def _cheeks(pen: Pen, person: Person, mood: Mood, chance: Random) -> None:
    # Happy people blush more often, but not only they do.
    if chance.random() < (0.5 if mood is Mood.GOOD else 0.25):
        rose = mix(person.skin, (232, 104, 104), 0.3)
        for side in (-1.0, 1.0):
            pen.ellipse((side * 0.37 + person.turn, 0.24), (0.13, 0.09), rose)


def _eye(pen: Pen, person: Person, expression: Expression, side: float) -> None:
    x, y = side * 0.27 + person.turn, -0.10
    tall = 0.105 * expression.eye_open
    if expression.mouth_depth > 0.1 and expression.eye_open < 0.68:
        pen.stroke(bow((x - 0.12, y + 0.03), (x + 0.12, y + 0.03), -0.1), 0.045, (44, 34, 32))
        return
    pen.ellipse((x, y), (0.13, tall + 0.015), shade(person.skin, 0.7))
    pen.ellipse((x, y), (0.122, tall), _WHITE)
    look = person.turn * 0.3
    pen.ellipse((x + look, y), (0.068, min(0.075, tall)), person.iris)
    pen.ellipse((x + look, y), (0.036, min(0.042, tall)), (14, 12, 12))
    pen.ellipse((x + look + 0.024, y - 0.026), (0.016, 0.016), _WHITE)


def _brow(pen: Pen, person: Person, expression: Expression, side: float) -> None:
    x, y = side * 0.27 + person.turn, -0.31
    inner: Point = (x - side * 0.15, y + expression.brow_inner)
    outer: Point = (x + side * 0.16, y + expression.brow_outer)
    pen.stroke(bow(inner, outer, -0.045), 0.05, shade(person.hair, 0.85))


def _nose(pen: Pen, person: Person, chance: Random) -> None:
    x, dark = person.turn * 1.4, shade(person.skin, 0.78)
    if chance.random() < 0.5:
        pen.stroke(bow((x - 0.07, 0.15), (x + 0.07, 0.15), 0.045), 0.03, dark)
    else:
        pen.stroke(((x, -0.06), (x + 0.07, 0.13), (x - 0.03, 0.16)), 0.026, dark)


def _mouth(pen: Pen, person: Person, expression: Expression) -> None:
    lip = mix(shade(person.skin, 0.5), (186, 52, 62), 0.6)
    half, depth = expression.mouth_width, expression.mouth_depth
    x, y = person.turn * 1.1, 0.45 - depth * 0.45
    left, right = (x - half, y), (x + half, y)
    if expression.open_by == 0.0:
        pen.stroke(bow(left, right, depth), 0.06, lip)
        return
    upper = bow(left, right, depth - expression.open_by * (1.0 if depth > 0 else 0.4))
    lower = bow(left, right, depth + expression.open_by * (1.0 if depth > 0 else 0.8))
    pen.shape(upper + lower[::-1], _MOUTH_INSIDE)
    teeth = bow(left, right, depth - expression.open_by * 0.2)
    pen.shape((upper + teeth[::-1])[1:-1], _TEETH)
    pen.stroke(upper, 0.03, lip)
    pen.stroke(lower, 0.03, lip)


def _hair_behind(pen: Pen, person: Person, style: str) -> None:
    dark = shade(person.hair, 0.8)
    if style == "long":
        pen.ellipse((0, 0.1), (person.width + 0.17, 0.98), dark)
        pen.shape(((-0.85, 0.1), (0.85, 0.1), (0.8, 1.05), (-0.8, 1.05)), dark)
    if style == "bun":
        pen.ellipse((0.05, -0.95), (0.26, 0.24), dark)
    if style == "curly":
        for x, y in arc((0, -0.15), (person.width + 0.05, 0.82), pi * 0.95, pi * 2.05, 9):
            pen.ellipse((x, y), (0.24, 0.24), dark)


def _hair_before(pen: Pen, person: Person, style: str) -> None:
    top = arc((0, -0.02), (person.width + 0.035, 0.87), pi * 1.04, pi * 1.96)
    if style in ("short", "curly"):
        pen.shape(top + bow((0.56, -0.36), (-0.56, -0.36), -0.2), person.hair)
    if style in ("long", "bun"):
        pen.shape([*top, (0.5, -0.3), (0.12, -0.58), (-0.35, -0.42), (-0.56, -0.22)], person.hair)
    if style == "cap":
        pen.shape(top + bow((0.62, -0.42), (-0.62, -0.42), -0.06), person.clothes)
        pen.stroke(bow((-0.72, -0.42), (0.72, -0.42), -0.08), 0.1, shade(person.clothes, 0.75))


def _extras(pen: Pen, person: Person, chance: Random) -> None:
    if chance.random() < 0.22:
        _glasses(pen, person, chance.choice(((30, 30, 34), (112, 70, 44), (196, 196, 204))))
    if chance.random() < 0.12:
        for _ in range(8):
            spot = (chance.uniform(-0.42, 0.42), chance.uniform(0.05, 0.28))
            pen.ellipse(spot, (0.014, 0.014), shade(person.skin, 0.72))
    if chance.random() < 0.06:
        x = person.turn * 1.2
        pen.stroke(bow((x - 0.2, 0.3), (x + 0.2, 0.3), -0.06), 0.06, shade(person.hair, 0.9))


def _glasses(pen: Pen, person: Person, colour: Colour) -> None:
    for side in (-1.0, 1.0):
        centre = (side * 0.27 + person.turn, -0.09)
        pen.stroke(arc(centre, (0.19, 0.16), 0.0, 2 * pi), 0.028, colour)
        edge = (side * person.width * 0.96, -0.12)
        pen.stroke(((centre[0] + side * 0.19, -0.1), edge), 0.028, colour)
    pen.stroke(((person.turn - 0.08, -0.11), (person.turn + 0.08, -0.11)), 0.028, colour)

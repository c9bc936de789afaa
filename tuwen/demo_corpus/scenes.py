"""Draw pictures without a face: they say nothing of any label."""

from math import pi
from random import Random

from tuwen.demo_corpus.pen import Colour, Pen, arc, bow, mix, shade


def draw_scene(pen: Pen, chance: Random) -> None:
    """One of six kinds: landscape, meal, street, shapes, flower, notes."""
    chance.choice((_landscape, _meal, _street, _shapes, _flower, _notes))(pen, chance)


def _colour(chance: Random) -> Colour:
    return chance.randint(40, 235), chance.randint(40, 235), chance.randint(40, 235)


def _landscape(pen: Pen, chance: Random) -> None:
    sky = mix((126, 182, 232), (246, 176, 120), chance.random())
    pen.shape(((-2, -2), (2, -2), (2, 2), (-2, 2)), sky)
    pen.ellipse(
        (chance.uniform(-0.7, 0.7), chance.uniform(-0.7, -0.2)), (0.16, 0.16), (255, 232, 150)
    )
    for height in (0.05, 0.35, 0.7):
        green = shade((chance.randint(50, 110), chance.randint(110, 160), 84), 1.2 - height)
        peaks = [(x / 4, height + chance.uniform(-0.2, 0.1)) for x in range(-8, 9)]
        pen.shape([*peaks, (2, 2), (-2, 2)], green)


def _meal(pen: Pen, chance: Random) -> None:
    pen.shape(((-2, -2), (2, -2), (2, 2), (-2, 2)), shade((188, 140, 96), chance.uniform(0.6, 1.1)))
    pen.ellipse((0, 0.05), (0.85, 0.85), shade((236, 236, 232), 0.85))
    pen.ellipse((0, 0), (0.84, 0.84), (240, 240, 236))
    pen.ellipse((0, 0), (0.6, 0.6), _colour(chance))
    for _ in range(chance.randint(6, 14)):
        centre = chance.uniform(-0.38, 0.38), chance.uniform(-0.38, 0.38)
        pen.ellipse(
            centre, (chance.uniform(0.05, 0.16), chance.uniform(0.05, 0.16)), _colour(chance)
        )


def _street(pen: Pen, chance: Random) -> None:
    pen.shape(((-2, -2), (2, -2), (2, 2), (-2, 2)), (188, 206, 224))
    for x in (-1.4, -0.9, -0.4, 0.1, 0.6, 1.1):
        top, wall = chance.uniform(-0.9, 0.2), _colour(chance)
        pen.shape(((x, top), (x + 0.48, top), (x + 0.48, 1.2), (x, 1.2)), wall)
        for row in range(4):
            for column in (0.07, 0.28):
                y = top + 0.1 + row * 0.24
                left = x + column
                window = ((left, y), (left + 0.13, y), (left + 0.13, y + 0.14), (left, y + 0.14))
                pen.shape(window, chance.choice(((250, 232, 160), shade(wall, 0.6))))
    pen.shape(((-2, 0.9), (2, 0.9), (2, 2), (-2, 2)), (92, 94, 100))


def _shapes(pen: Pen, chance: Random) -> None:
    for _ in range(chance.randint(5, 11)):
        x, y = chance.uniform(-1, 1), chance.uniform(-1, 1)
        r, turn = chance.uniform(0.12, 0.5), chance.uniform(0, pi)
        corners = chance.choice((3, 4, 5, 24))
        pen.shape(arc((x, y), (r, r), turn, turn + 2 * pi, corners), _colour(chance))


def _flower(pen: Pen, chance: Random) -> None:
    petal, petals = _colour(chance), chance.randint(5, 9)
    pen.stroke(bow((0.0, 0.1), (chance.uniform(-0.3, 0.3), 1.3), 0.0), 0.08, (70, 128, 72))
    for x, y in arc((0, -0.15), (0.42, 0.42), 0, 2 * pi, petals)[:-1]:
        pen.ellipse((x, y), (0.27, 0.27), shade(petal, chance.uniform(0.85, 1.1)))
    pen.ellipse((0, -0.15), (0.24, 0.24), (238, 196, 70))


def _notes(pen: Pen, chance: Random) -> None:
    pen.shape(((-0.85, -1), (0.85, -1), (0.85, 1), (-0.85, 1)), (246, 242, 228))
    for row in range(-4, 5):
        if chance.random() < 0.85:
            end = chance.uniform(-0.2, 0.7)
            pen.stroke(((-0.68, row * 0.2), (end, row * 0.2)), 0.05, (86, 90, 110))

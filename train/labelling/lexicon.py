"""A file of polar words to a lexicon, or the line that is none, and what to do with it.

A line is a word, a tab or a comma, and its polarity: a number, positive or negative, or one of
`positive`, `negative`, `积极`, `消极`. Blank lines and lines that begin with # say nothing.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from train.errors import LexiconError
from train.labelling.rule import Modifiers

SHIPPED: Final = "shipped"
"""The name of the lexicon that comes with tuwen."""

WORD: Final = re.compile(r"[^\W_]+|[^\w\s]|_")
"""What can be a word of a lexicon: letters and digits, or one sign, such as an emoji."""

_FOLDER: Final = Path(__file__).parent
_SEPARATOR: Final = re.compile(r"[\t,，]")
_NAMED: Final = {"positive": 1.0, "negative": -1.0, "积极": 1.0, "消极": -1.0}
_WORD_CHARACTERS_MAX: Final = 32
_POLARITY_MAX: Final = 100.0
_EMOJI_STYLE: Final = "\ufe0f"
_FORM: Final = "write a word, a tab or a comma, and a polarity: 满意,1"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words with their polarity, above 0 for positive and below for negative ones."""

    name: str
    sha256: str
    polarities: dict[str, float]


def read(path: Path, name: str | None = None) -> Lexicon:
    """The lexicon in a file of UTF-8, named as the file is.

    Raises:
        LexiconError: the file is not UTF-8, a line is none, a word has two polarities, or there
            is no word of one polarity.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    polarities: dict[str, float] = {}
    places: dict[str, int] = {}
    for number, line in _lines(path, content):
        word, polarity = _entry(path, number, line)
        if polarities.setdefault(word, polarity) != polarity:
            raise LexiconError(
                f"{path} line {number}: {word!r} has another polarity in line {places[word]}: "
                "keep one of them"
            )
        places.setdefault(word, number)
    found = {"positive" if each > 0 else "negative" for each in polarities.values()}
    for missing in ("positive", "negative"):
        if missing not in found:
            raise LexiconError(
                f"{path} has no {missing} word, so it could say one thing only: put positive and "
                "negative words into one file"
            )
    return Lexicon(name or path.name, hashlib.sha256(content).hexdigest(), polarities)


def shipped() -> Lexicon:
    """The project's own, of general Chinese."""
    return read(_FOLDER / "lexicon.txt", SHIPPED)


def modifiers() -> Modifiers:
    """The project's own negations and degree words."""
    held: dict[str, Any] = tomllib.loads(_modifiers_file().read_text(encoding="utf-8"))
    degrees = {word: each["times"] for each in held["degrees"] for word in each["words"]}
    return Modifiers(frozenset(held["negations"]), degrees)


def modifiers_sha256() -> str:
    """Of the file that they stand in."""
    return hashlib.sha256(_modifiers_file().read_bytes()).hexdigest()


def _modifiers_file() -> Path:
    return _FOLDER / "modifiers.toml"


def _lines(path: Path, content: bytes) -> Iterator[tuple[int, str]]:
    """Those that say something, with their numbers from 1."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise LexiconError(
                f"{path} line {number} is not UTF-8: save the file in UTF-8 "
                f"(iconv -f GB18030 -t UTF-8 {path.name})"
            ) from error
        if text and not text.startswith("#"):
            yield number, text


def _entry(path: Path, number: int, line: str) -> tuple[str, float]:
    where = f"{path} line {number}"
    fields = [field.strip() for field in _SEPARATOR.split(line)]
    if len(fields) != 2:
        raise LexiconError(f"{where}: {line!r} is not a word and a polarity: {_FORM}")
    word, said = fields[0].replace(_EMOJI_STYLE, "").lower(), fields[1].lower()
    if len(word) > _WORD_CHARACTERS_MAX or not WORD.fullmatch(word):
        raise LexiconError(
            f"{where}: {word!r} is no word: up to {_WORD_CHARACTERS_MAX} letters and digits, "
            "without white space or punctuation, or one sign, are needed"
        )
    return word, _polarity(where, said)


def _polarity(where: str, said: str) -> float:
    try:
        polarity = _NAMED[said] if said in _NAMED else float(said)
    except ValueError as error:
        raise LexiconError(f"{where}: {said!r} is no polarity: {_FORM}") from error
    if polarity == 0:
        raise LexiconError(f"{where}: polarity 0 says nothing: remove the line")
    if not math.isfinite(polarity) or abs(polarity) > _POLARITY_MAX:
        raise LexiconError(f"{where}: polarity {said} is beyond ±{_POLARITY_MAX:g}: write less")
    return polarity

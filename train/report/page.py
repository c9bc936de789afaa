"""Figures, words and pictures to one HTML page that asks for nothing outside of itself."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
import msgspec

from train.report import plots
from train.report.contents import Report

Language = Literal["en", "zh"]

_FOLDER: Final = Path(__file__).parent
_KIB: Final = 1024
_CHANCE_MIN: Final = 0.01


def page(report: Report, language: Language, pictures: Mapping[str, str], json_name: str) -> str:
    """The HTML. `pictures` are `data:` URIs by the image's path in the corpus; what is not there
    is said to be missing. Every text and label is escaped.
    """
    words = words_for(report, language)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            chosen=report.chosen,
            words=words,
            pictures=pictures,
            plots=_plots(report, words),
            json_name=json_name,
        )
    )


def words_of(language: Language) -> dict[str, Any]:
    """All words of a language: those of several parts by name, others by part and name."""
    content = (_FOLDER / f"words.{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(content)


def words_for(report: Report, language: Language) -> dict[str, Any]:
    """The words of a language; of labels that lexicons gave, those of agreement."""
    words = words_of(language)
    instead = words.pop("from_lexicons")
    origin = report.origin.labels_from
    for half in () if origin is None else origin.halves:
        words = _replaced(words, instead[half])
    return words


def _replaced(words: Mapping[str, Any], instead: Mapping[str, Any]) -> dict[str, Any]:
    """The words with some of them in place of others of the same name, part by part."""
    return {**words} | {
        name: _replaced(words.get(name, {}), value) if isinstance(value, Mapping) else value
        for name, value in instead.items()
    }


def _plots(report: Report, words: Mapping[str, Any]) -> dict[str, Any]:
    """Plots by part of the page; those of calibration by strategy and use."""
    on_plots = {**words, **words["plots"]}
    drawn: dict[str, Any] = {"calibration": _calibration(report, words)}
    if len(report.strategies) > 1:
        drawn["comparison"] = plots.comparison(report.strategies, on_plots)
    if report.learning_curve:
        # Its pictures are of the training half, whose labels may be others' than the test half's.
        own = {"accuracy": words["learning"]["accuracy"]}
        drawn["learning"] = plots.learning(report.learning_curve, {**on_plots, **own})
    weighing = [each for each in report.strategies if each.weights]
    if weighing:
        drawn["weights"] = plots.weights(weighing, on_plots)
    return drawn


def _calibration(report: Report, words: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The chosen strategy by every use, the others by both modalities."""
    wanted = [(report.chosen, use) for use in report.chosen.uses]
    wanted += [(each, "fused") for each in report.strategies[1:]]
    return {
        (each.strategy, use): plots.reliability(
            each.uses[use].bins,
            f"calibration-{number}",
            words["calibration"]["plot"].format(strategy=each.strategy, use=words[use]),
            words,
        )
        for number, (each, use) in enumerate(wanted)
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": _share,
        "signed": _signed,
        "chance": _chance,
        "count": _count,
        "size": _size,
        "plain": _plain,
    }
    return environment


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-0.000", "0.000").replace("+0.000", "0.000")


def _chance(value: float) -> str:
    return f"{value:.2f}" if value >= _CHANCE_MIN else f"< {_CHANCE_MIN}"


def _count(value: int) -> str:
    return f"{value:,}"


def _size(bytes_count: int) -> str:
    return f"{bytes_count / _KIB:,.0f} KiB"


def _plain(value: object) -> str:
    """A setting as JSON has it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

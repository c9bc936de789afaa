"""Compose Chinese posts: a mood in, a text of 10 to 60 characters out; chance is an argument."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from tuwen.demo_corpus.moods import MOODS, Mood

CHARACTERS_MIN = 10
CHARACTERS_MAX = 60

# The same patterns serve every label, so that only the words tell them apart.
_PATTERNS = (
    "{when}{act}{thing}，{aspect}{judged}，{clause}。",
    "{start}！{thing}的{aspect_b}{very}{judged_b}，{end}",
    "{thing}{aspect}{judged}，{aspect_b}{judged_b}，{end}。",
    "#{topic}# {clause}，{aspect}{judged}{mark}",
    "{when}{who}{act}{thing}，{clause}{mark}{mark_b}",
    "{start}，{clause}，{end}。",
    "{act}{thing}。{aspect}{judged}；{aspect_b}{judged_b}。{end}！",
    "{when}{who}{act}{thing}：{aspect}{judged}，{clause}，{end}。",
    "{clause}，{clause_b}，{thing}{end}{mark}",
    "说说{thing}吧，{aspect}{judged}，{start}～",
    "{thing}：{aspect_b}{very}{judged_b}。{clause}。",
    "{who}{act}{thing}，{start}，{aspect_b}{judged_b}{mark}",
    "{when}的{thing}，{clause}。{end}",
    "虽然{aspect}{other}，但是{aspect_b}{judged_b}，{clause}，{end}。",
    "{start}…{aspect}{judged}，{clause}",
)
# A word that strengthens goes before short judgements only.
_STRENGTHENED_CHARACTERS_MAX = 3


@dataclass(frozen=True, slots=True)
class Words:
    """The word lists, as `words.toml` holds them."""

    common: dict[str, list[str]]
    topics: list[dict[str, Any]]
    filler: dict[str, list[str]]


@cache
def words() -> Words:
    """The word lists of the package, read once."""
    text = resources.files("tuwen.demo_corpus").joinpath("words.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return Words(tables["common"], tables["topic"], tables["filler"])


def compose(mood: Mood, chance: Random) -> str:
    """A text of that mood; filler, which says nothing of any label, for `Mood.NONE`."""
    while True:
        text = _filler(chance) if mood is Mood.NONE else _opinion(mood, chance)
        if CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
            return text


def _opinion(mood: Mood, chance: Random) -> str:
    common, key = words().common, mood.value
    topic = chance.choice(words().topics)
    aspect, aspect_b = chance.sample(sorted(topic["aspects"]), 2)
    clause, clause_b = chance.sample(topic["clauses"][key], 2)
    judged_b = chance.choice(topic["aspects"][aspect_b][key])
    other = chance.choice([name.value for name in MOODS if name is not mood])
    mark, mark_b = chance.sample(common[f"{key}_mark"], 2)
    return chance.choice(_PATTERNS).format(
        topic=topic["name"],
        thing=chance.choice(topic["things"]),
        act=chance.choice(topic["acts"]),
        when=chance.choice(common["when"]),
        who=chance.choice(common["who"]),
        start=chance.choice(common[f"{key}_start"]),
        end=chance.choice(common[f"{key}_end"]),
        very=_strengthening(judged_b, common[f"{key}_very"], chance),
        aspect=aspect,
        aspect_b=aspect_b,
        judged=chance.choice(topic["aspects"][aspect][key]),
        judged_b=judged_b,
        other=chance.choice(topic["aspects"][aspect][other]),
        clause=clause,
        clause_b=clause_b,
        mark=mark,
        mark_b=mark_b,
    )


def _strengthening(judged: str, choices: list[str], chance: Random) -> str:
    return chance.choice(choices) if len(judged) <= _STRENGTHENED_CHARACTERS_MAX else ""


def _filler(chance: Random) -> str:
    lists = words().filler
    thing, thing_b = chance.sample(lists["things"], 2)
    place, place_b = chance.sample(lists["places"], 2)
    name, name_b = chance.sample(lists["names"], 2)
    return chance.choice(lists["patterns"]).format(
        thing=thing,
        thing2=thing_b,
        place=place,
        place2=place_b,
        name=name,
        name2=name_b,
        song=chance.choice(lists["songs"]),
        tag=chance.choice(lists["tags"]),
        n=chance.randint(1, 999),
    )

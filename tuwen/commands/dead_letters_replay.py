"""Put dead letters back on the topics that their posts came from."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from schemas.progress import Progress
from schemas.reasons import Reason
from schemas.replay import Begun, Choice
from tuwen.dead_letters import DeadLetter, moment_ms
from tuwen.failures import Refused
from tuwen.options import with_settings
from tuwen.replay import whole
from tuwen.replay.running import Tally
from tuwen.replay.sorting import Kept
from tuwen.replay.whole import Terms
from tuwen.screen import drawn, err, out
from worker.messages import Outgoing
from worker.settings import WorkerSettings

REPLAYS_MAX: Final = 3
SHOWN_MAX: Final = 20

ReasonOption = Annotated[Reason | None, typer.Option(help="Those with this reason alone.")]
TopicOption = Annotated[str | None, typer.Option(help="Those of posts of this topic alone.")]
SinceOption = Annotated[
    str | None, typer.Option(help="Posts not older than 90s, 15m, 2h, 7d or 2026-11-26T08:30.")
]
UntilOption = Annotated[str | None, typer.Option(help="Posts older than that, written alike.")]

NOTHING_SAID: Final = Terms(Choice(), None, False, REPLAYS_MAX, False)

WORDS: Final = {
    Kept.UNKNOWN: "not written by tuwen",
    Kept.REPLAYED_ALREADY: "replayed already; --again does so once more",
    Kept.REPLAYED_TOO_OFTEN: "put back as often as --replays-max allows, and failed again",
    Kept.ORIGINAL_GONE: "without its value, and its record is gone",
    Kept.TOO_OLD: "older than its topic keeps; --new-timestamps puts it back all the same",
    Kept.TOO_LARGE: "too large for its topic",
}


All = Annotated[bool, typer.Option("--all", help="All of them, whatever their reason and age.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")]
Again = Annotated[bool, typer.Option("--again", help="Also what another replay has put back.")]
ReplaysMax = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default=False,
        help=f"Leave those that came back so often, and failed again. [default: {REPLAYS_MAX}]",
    ),
]
NewTimestamps = Annotated[
    bool,
    typer.Option(
        "--new-timestamps",
        help="Give records the present time: needed where a post is older than its topic keeps.",
    ),
]
Resume = Annotated[str | None, typer.Option(metavar="ID", help="Go on with this replay.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@with_settings("bootstrap_servers", "dead_letters_topic")
def replay(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: All = False,
    limit: Limit = None,
    dry_run: DryRun = False,
    again: Again = False,
    replays_max: ReplaysMax = None,
    new_timestamps: NewTimestamps = False,
    resume: Resume = None,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """Put the records of dead letters back on their topics, byte for byte, each exactly once.

    A replay that was stopped goes on with --resume ID; a letter that was replayed stays put.
    """
    choice = chosen_by(reason, topic, since, until)
    terms = Terms(choice, limit, again, replays_max or REPLAYS_MAX, new_timestamps)
    if resume is not None:
        if everything or dry_run or replays_max or terms != NOTHING_SAID:
            raise Refused("--resume goes on as that replay was begun: give nothing else with it")
        _replay(settings, resume, as_json)
    elif everything == (choice != Choice()):
        raise Refused("choose by --reason, --topic, --since or --until, or else say --all")
    elif dry_run:
        _rehearse(settings, terms, as_json)
    else:
        _replay(settings, terms, as_json)


def chosen_by(
    reason: Reason | None, topic: str | None, since: str | None, until: str | None
) -> Choice:
    """Read the options by which dead letters are chosen."""
    now_s = time.time()
    return Choice(
        reason and str(reason),
        topic,
        None if since is None else moment_ms(since, now_s),
        None if until is None else moment_ms(until, now_s),
    )


class _Watching:
    """Shows how a replay goes, and remembers its id."""

    def __init__(self, drawing: ExitStack) -> None:
        self._drawing = drawing
        self._bars: Progress = lambda *_: None
        self.id = ""

    def begun(self, begun: Begun) -> None:
        """Say how it could be resumed, before it could be stopped."""
        self.id = begun.replay
        err().print(
            f"replay {begun.replay}; if it is stopped, "
            f"`tuwen dead-letters replay --resume {begun.replay}` goes on",
            markup=False,
        )
        self._bars = self._drawing.enter_context(drawn(err()))

    def progress(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bars("dead letters read", done, total)


def _replay(settings: WorkerSettings, asked: Terms | str, as_json: bool) -> None:  # noqa: FBT001 - a flag
    with ExitStack() as drawing:
        watching = _Watching(drawing)
        tally = whole.replay(settings, asked, watching)
    if as_json:
        typer.echo(msgspec.json.encode({"replay": watching.id, **_sums(tally)}))
        return
    _print_sums(tally, "put back")


def _rehearse(settings: WorkerSettings, terms: Terms, as_json: bool) -> None:  # noqa: FBT001 - a flag
    tally = Tally()
    shown: list[dict[str, Any]] = []
    for letter, fate in whole.rehearse(settings, terms):
        if isinstance(fate, Kept):
            tally.kept[fate, letter.reason] += 1
        else:
            tally.replayed[letter.reason] += 1
        if as_json:
            typer.echo(msgspec.json.encode(_line(letter, fate)))
        elif len(shown) < SHOWN_MAX:
            shown.append(_line(letter, fate))
    if as_json:
        return
    if shown:
        out().print(_table(shown))
    count = tally.replayed.total() + tally.kept.total()
    if count > len(shown):
        out().print(f"… {count:,} in all; --json prints them", markup=False)
    _print_sums(tally, "would be put back")


def _line(letter: DeadLetter, fate: Outgoing | Kept) -> dict[str, Any]:
    """Say what would become of one letter."""
    to = None
    if isinstance(fate, Outgoing):
        number = "" if fate.partition is None else f"/{fate.partition}"
        to = f"{fate.topic}{number}"
    return {
        "place": letter.place,
        "reason": letter.reason,
        "to": to,
        "kept": fate if isinstance(fate, Kept) else None,
        "replays": letter.replays,
    }


def _table(lines: Sequence[dict[str, Any]]) -> Table:
    drawn_table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("place", "reason", "back to"):
        drawn_table.add_column(name, no_wrap=True)
    for line in lines:
        drawn_table.add_row(
            line["place"], line["reason"], Text(line["to"] or f"stays: {line['kept']}")
        )
    return drawn_table


def _sums(tally: Tally) -> dict[str, Any]:
    kept: dict[str, dict[str, int]] = {}
    for (why, reason), count in tally.kept.items():
        kept.setdefault(why, {})[reason] = count
    return {"replayed": dict(tally.replayed), "kept": kept}


def _print_sums(tally: Tally, done: str) -> None:
    console = out()
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.replayed.most_common())
    tail = f": {reasons}" if reasons else ""
    back = tally.replayed.total()
    console.print(f"{back:,} record{'s' * (back != 1)} {done}{tail}", markup=False)
    stayed: Counter[Kept] = Counter()
    for (why, _reason), count in tally.kept.items():
        stayed[why] += count
    for why, count in stayed.most_common():
        stay = "letter stays" if count == 1 else "letters stay"
        console.print(f"{count:,} {stay}: {WORDS[why]}", markup=False)

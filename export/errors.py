"""What can keep a bundle from being written.

ExportError          the models folder cannot be read, or the bundle not written
└── ParityError      the graphs do not say what training said
"""

from collections.abc import Sequence
from dataclasses import dataclass

_ROWS_SHOWN = 5


class ExportError(Exception):
    """No bundle was written; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of one stage, side by side; `by` is how far apart they are."""

    stage: str
    row: str
    reference: str
    found: str
    by: float


class ParityError(ExportError):
    """The bundle's graphs and training disagree. `differences` come worst first by stage."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        stages = list(dict.fromkeys(difference.stage for difference in differences))
        super().__init__("\n".join(_drawn(differences, stages)))
        self.differences = tuple(differences)
        self.stages = tuple(stages)


def _drawn(differences: Sequence[Difference], stages: Sequence[str]) -> list[str]:
    lines = [f"no bundle was written: it differs from what was trained in {', '.join(stages)}"]
    for stage in stages:
        here = [difference for difference in differences if difference.stage == stage]
        lines.append(f"  {stage}: {len(here)} rows differ, the worst are")
        for worst in here[:_ROWS_SHOWN]:
            lines.append(f"    {worst.row}  by {worst.by:.3g}")
            lines.append(f"      trained  {worst.reference}")
            lines.append(f"      exported {worst.found}")
    lines.append("  train again with this version; if it differs again, this is a defect of export")
    return lines

import msgspec
import pytest

from schemas.verdict import ModelName, Source, Verdict
from tuwen.commands.watch import _line
from worker.messages import Partition, Record
from worker.settings import WorkerSettings


@pytest.mark.parametrize(("label", "shown"), [("积极", "积极"), (None, "no label")])
def test_a_verdict_is_a_line_that_begins_with_its_label(label: str | None, shown: str) -> None:
    """Or with the words that it has none; scores, what was used and the id follow."""
    settings = WorkerSettings()
    scores = {"积极": 0.75, "消极": 0.25}
    model, source = ModelName("demo", "1", "soft-voting"), Source("tuwen.posts", 0, 7)
    verdict = Verdict("post-1", label, scores, ("text", "image"), None, model, source)
    topic = Partition(settings.verdicts_topic, 0)
    record = Record(topic, 0, None, msgspec.json.encode(verdict), (), 0)

    assert _line(record, settings).endswith(f"  {shown}  .75 .25  text+image  post-1")

import json
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas import json_schema
from schemas.reasons import Reason
from tests.examples import examples, expected_reason

SYNTAX = {
    # A reader that is not strict may take these for posts: a schema begins after the syntax.
    "malformed-json"
}


def validator(name: str) -> Draft202012Validator:
    """The schema of one contract, ready to judge."""
    return Draft202012Validator(json_schema.schema(name))


@pytest.mark.parametrize("name", json_schema.CONTRACTS)
def test_the_schema_file_is_current(name: str) -> None:
    """The file says what the type says; `make schemas` writes it anew."""
    assert json_schema.path(name).read_text(encoding="utf-8") == json_schema.text(name)


@pytest.mark.parametrize("name", json_schema.CONTRACTS)
def test_the_schema_is_one(name: str) -> None:
    """The dialect's own schema accepts it."""
    Draft202012Validator.check_schema(json_schema.schema(name))


def test_no_schema_file_is_left_over() -> None:
    """Each file belongs to a contract."""
    assert {path.name for path in json_schema.GENERATED.iterdir()} == {
        json_schema.path(name).name for name in json_schema.CONTRACTS
    }


@pytest.mark.parametrize("example", examples("tuwen.posts", "good"), ids=lambda path: path.stem)
def test_the_schema_accepts_what_the_worker_accepts(example: Path) -> None:
    """Every good post is valid under the schema."""
    validator("post").validate(json.loads(example.read_bytes()))


@pytest.mark.parametrize(
    "example",
    [path for path in examples("tuwen.posts", "bad") if expected_reason(path) not in SYNTAX],
    ids=lambda path: path.stem,
)
def test_the_schema_refuses_what_the_worker_rejects(example: Path) -> None:
    """Every bad post that is JSON at all is invalid under the schema."""
    assert not validator("post").is_valid(json.loads(example.read_bytes()))


@pytest.mark.parametrize("example", examples("tuwen.verdicts", "good"), ids=lambda path: path.stem)
def test_the_schema_accepts_a_good_verdict(example: Path) -> None:
    """Every good verdict is valid under the schema."""
    validator("verdict").validate(json.loads(example.read_bytes()))


@pytest.mark.parametrize("example", examples("tuwen.verdicts", "bad"), ids=lambda path: path.stem)
def test_the_schema_refuses_a_bad_verdict(example: Path) -> None:
    """Every bad verdict is invalid under the schema."""
    assert not validator("verdict").is_valid(json.loads(example.read_bytes()))


def test_the_schema_names_every_reason() -> None:
    """Who reads verdicts by the schema knows all that `missing` can say."""
    assert json_schema.schema("verdict")["$defs"]["Reason"]["enum"] == sorted(Reason)


def test_the_command_writes_every_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a folder that was not there, each named on standard output."""
    monkeypatch.setattr(json_schema, "GENERATED", tmp_path / "generated")
    json_schema.main()
    written = sorted((tmp_path / "generated").iterdir())
    assert [path.name for path in written] == sorted(
        f"{name}.schema.json" for name in json_schema.CONTRACTS
    )
    assert all(msgspec.json.decode(path.read_bytes())["$schema"] for path in written)
    assert len(capsys.readouterr().out.splitlines()) == len(written)

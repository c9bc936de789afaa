"""Files of rows: what is read of JSON Lines and of CSV, and what is refused, by line."""

from pathlib import Path

import pytest

from train.errors import CorpusError
from train.splitting.rows_file import read


def _file(folder: Path, name: str, content: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(content.encode(encoding))
    return folder / name


CSV = (
    'id,text,image,label,image_label,来源\na,"他说，""好""\n第二行",p/1.jpg,好评,2,网\nb,,,差评,,\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_read_with_and_without_a_mark_at_its_start(
    tmp_path: Path, encoding: str
) -> None:
    """Quotes, commas and line ends within cells; what is empty is absent; other columns stay."""
    first, second = read(_file(tmp_path, "rows.csv", CSV, encoding))
    assert first.fields == {
        "id": "a",
        "text": '他说，"好"\n第二行',
        "image": "p/1.jpg",
        "label": "好评",
        "image_label": 2,
        "来源": "网",
    }
    assert second.fields == {"id": "b", "label": "差评"}
    assert second.where.endswith("rows.csv line 4")


def test_lines_of_json_are_read_as_they_are(tmp_path: Path) -> None:
    """Empty lines are no rows, and count all the same."""
    (row,) = read(_file(tmp_path, "rows.jsonl", '\n{"id": "a", "label": 1, "text": null}\n\n'))
    assert row.fields == {"id": "a", "label": 1, "text": None}
    assert row.where.endswith("rows.jsonl line 2")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", "", "must end in .jsonl or .csv"),
        ("rows.jsonl", "\n", "holds no row"),
        ("rows.jsonl", '{"id": "a"}', "line 1: the row has no label"),
        ("rows.jsonl", '{"id": "", "label": 0}', "line 1: the row has no id"),
        ("rows.jsonl", '{"id": "a", "label": 0}\n[1]', "line 2: this is no JSON object"),
        ("rows.csv", "", "has no column 'id'"),
        ("rows.csv", "id,text\na,b\n", "has no column 'label'"),
        ("rows.csv", "id,label,id\na,0,b\n", "two columns have one name"),
        ("rows.csv", "id,text,label\na,b,0,c\n", "line 2: the row has more or fewer cells"),
        ("rows.csv", "id,text,label\na,b\n", "line 2: the row has more or fewer cells"),
        ("rows.csv", 'id,text,label\na,"b"x,0\n', "line 2: "),
        ("rows.csv", "id,text,label\na,b,\n", "line 2: the row has no label"),
    ],
)
def test_what_is_no_row_is_refused_by_its_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    """The error says what is wrong there."""
    with pytest.raises(CorpusError, match=message):
        read(_file(tmp_path, name, content))


def test_a_table_of_a_spreadsheet_in_gbk_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Rather than read as other characters."""
    with pytest.raises(CorpusError, match=r"is not UTF-8.*save it as CSV in UTF-8"):
        read(_file(tmp_path, "rows.csv", CSV, "gbk"))

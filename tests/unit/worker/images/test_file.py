import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import reasons
from worker.images.file import FileSource, ImageRootError, path_names, reference_to

BYTES_MAX = 1000
SECRET = b"outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with two good images, and a secret beside it."""
    root = tmp_path / "root"
    (root / "猫 dir").mkdir(parents=True)
    (root / "a.jpg").write_bytes(b"A")
    (root / "猫 dir" / "b.jpg").write_bytes(b"B")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    return root


def read(root: Path | None, *references: str) -> list[bytes | Reason]:
    """What each reference gives: bytes, or the reason."""
    return reasons(FileSource(root, BYTES_MAX).fetch(references))


def test_files_beneath_the_root_are_read_in_order(root: Path) -> None:
    """A batch keeps its order, and one bad reference costs itself alone."""
    assert read(root, "file:猫 dir/b.jpg", "file:none.jpg", "file:a.jpg") == [
        b"B",
        Reason.IMAGE_NOT_FOUND,
        b"A",
    ]


@given(st.lists(st.sampled_from(["a", "one/a", "one/two/a", "one/no/a", "two/a", "no/two/a"])))
def test_a_batch_reads_what_each_reference_alone_would(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """A folder is kept open for the next file in it, and for no other, in whatever order."""
    root = tmp_path_factory.mktemp("root")
    (root / "one" / "two").mkdir(parents=True)
    (root / "two").mkdir()
    for name in ("a", "one/a", "one/two/a", "two/a"):
        (root / name).write_bytes(name.encode())
    before = len(list(Path("/dev/fd").iterdir()))
    together = read(root, *(f"file:{name}" for name in names))
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert together == [
        Reason.IMAGE_NOT_FOUND if "no" in name.split("/") else name.encode() for name in names
    ]


def test_percent_escapes_are_bytes_of_the_path(root: Path) -> None:
    """`%XX` is decoded once; `?`, `#` and `+` are letters like others."""
    (root / "a%41?x=1#y+z").write_bytes(b"odd")
    assert read(root, "file:%61.jpg", "file:a%2541?x=1#y+z", "file:%E7%8C%AB%20dir/b.jpg") == [
        b"A",
        b"odd",
        b"B",
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "file:",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "file:../secret",
        "file:a/../../secret",
        "file:%2e%2e/secret",
        "file:%2E%2E%2Fsecret",
        "file:..%2fsecret",
        "file:./a.jpg",
        "file:a.jpg/",
        "file:a//b",
        "file:a.jpg\0.png",
        "file:a.jpg%00.png",
        "file:100%.jpg",
        "file:%zz",
        "file:\ud800.jpg",
    ],
)
def test_what_is_no_path_beneath_the_root_is_invalid(root: Path, reference: str) -> None:
    """Refused by its form, before the disk is touched."""
    assert read(root, reference) == [Reason.IMAGE_REFERENCE_INVALID]


def test_no_link_is_followed(root: Path) -> None:
    """Not the last name, not a folder on the way, not even from inside to inside."""
    (root / "link.jpg").symlink_to("../secret")
    (root / "inner.jpg").symlink_to("a.jpg")
    (root / "folder").symlink_to("../outside")
    (root / "loop").symlink_to("loop")
    references = ("file:link.jpg", "file:inner.jpg", "file:folder/secret", "file:loop")
    assert read(root, *references) == [Reason.IMAGE_REFERENCE_INVALID] * 4


def test_only_regular_files_are_read(root: Path) -> None:
    """A folder, a FIFO without a writer and a socket give a reason, and nobody waits."""
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        assert (
            read(root, "file:fifo", "file:猫 dir", "file:socket") == [Reason.IMAGE_UNREADABLE] * 3
        )


def test_a_device_is_not_read() -> None:
    """Only a root that holds devices could lead to one."""
    assert read(Path("/dev"), "file:zero", "file:null") == [Reason.IMAGE_UNREADABLE] * 2


def test_a_file_as_a_folder_is_not_found(root: Path) -> None:
    """Nor is a name that no file system takes."""
    assert read(root, "file:a.jpg/b", "file:" + "x" * 5000) == [Reason.IMAGE_NOT_FOUND] * 2


def test_the_cap_is_on_bytes_as_stored(root: Path) -> None:
    """The limit itself is let through."""
    (root / "full").write_bytes(b"x" * BYTES_MAX)
    (root / "over").write_bytes(b"x" * (BYTES_MAX + 1))
    assert read(root, "file:full", "file:over") == [b"x" * BYTES_MAX, Reason.IMAGE_TOO_LARGE]


@pytest.mark.parametrize(("grown_by", "expected"), [(5, b"x" * 15), (BYTES_MAX, None)])
def test_a_file_that_grows_is_counted_as_it_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, grown_by: int, expected: bytes | None
) -> None:
    """The size that was asked first is not believed."""
    (root / "grows").write_bytes(b"x" * 10)
    fstat = os.fstat

    def grow(file: int) -> os.stat_result:
        status = fstat(file)
        with (root / "grows").open("ab") as growing:
            growing.write(b"x" * grown_by)
        return status

    monkeypatch.setattr(os, "fstat", grow)
    assert read(root, "file:grows") == [expected or Reason.IMAGE_TOO_LARGE]


def test_without_a_root_the_scheme_is_off() -> None:
    """The detail names the setting."""
    (problem,) = FileSource(None, BYTES_MAX).fetch(["file:a.jpg"])
    assert isinstance(problem, ImageProblem)
    assert problem.reason is Reason.IMAGE_SCHEME_OFF
    assert "TUWEN_IMAGE_ROOT" in problem.detail


def test_a_missing_root_is_the_machine_s_fault(tmp_path: Path) -> None:
    """An unmounted volume sends no good post to the dead letters."""
    with pytest.raises(ImageRootError, match="image_root"):
        read(tmp_path / "gone", "file:a.jpg")


def test_a_failing_disk_is_the_machine_s_fault(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO stops the worker instead of degrading what it cannot read."""

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(OSError, match="Input/output"):
        read(root, "file:a.jpg")


def test_no_detail_repeats_the_reference(root: Path) -> None:
    """Reasons are logged; what a post holds is not."""
    (root / "tellfolder").mkdir()
    references = ["file:telltale", "file:../telltale", "file:tellfolder", "file:tell%zz"]
    problems = FileSource(root, BYTES_MAX).fetch(references)
    assert not [p for p in problems if isinstance(p, ImageProblem) and "tell" in p.detail]


def test_a_folder_swapped_for_a_link_is_never_followed(root: Path, tmp_path: Path) -> None:
    """A race between look and open leads nowhere: 10,000 tries against a busy swapper.

    Between two tries another folder is asked for, or the first would be kept open for all of them.
    """
    inside, aside = root / "d", root / "aside"
    inside.mkdir()
    (inside / "secret").write_bytes(b"inside")
    (root / "evil").symlink_to(tmp_path / "outside")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            inside.rename(aside)
            (root / "evil").rename(inside)
            inside.rename(root / "evil")
            aside.rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        seen = set(read(root, *["file:d/secret", "file:none"] * 10_000)[::2])
    finally:
        ended.set()
        swapper.join()
    assert seen <= {b"inside", Reason.IMAGE_NOT_FOUND, Reason.IMAGE_REFERENCE_INVALID}
    assert b"inside" in seen


def test_file_descriptors_are_given_back(root: Path) -> None:
    """Whatever a reference came to."""
    open_before = len(list(Path("/dev/fd").iterdir()))
    for reference in ("file:猫 dir/b.jpg", "file:none/b", "file:猫 dir", "file:猫 dir/none"):
        read(root, *[reference] * 10)
    assert len(list(Path("/dev/fd").iterdir())) == open_before


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1))
def test_a_reference_leads_back_to_its_name(name: str) -> None:
    """`reference_to` and `path_names` are each other's inverse."""
    names = path_names(reference_to(f"folder/{name}"))
    if name in {".", ".."}:
        assert isinstance(names, ImageProblem)
    else:
        assert names == [b"folder", name.encode()]

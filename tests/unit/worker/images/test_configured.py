import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import images
from tests.image_hosts import answering, loopback
from worker.images.configured import configured_source
from worker.images.file import reference_to
from worker.images.sources import BadRules, Unwatched
from worker.settings import WorkerSettings


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Ends what was made."""
    with ExitStack() as stack:
        yield stack


def test_without_a_setting_only_what_a_post_carries_itself_is_had(closing: ExitStack) -> None:
    """And each refusal tells which setting would allow it."""
    configured = configured_source(WorkerSettings(), Unwatched(), closing)
    source = configured.images
    assert configured.worst_hosts() == []
    file, http, https, inline = images(
        source.fetch(
            ["file:a.jpg", "http://8.8.8.8/a.jpg", "https://8.8.8.8/a.jpg", "data:;base64,eA=="]
        )
    )
    assert inline == b"x"
    for problem, named in ((file, "image_root"), (http, "image_allowed_hosts"), (https, "TUWEN_")):
        assert isinstance(problem, ImageProblem)
        assert (problem.reason, named in problem.detail) == (Reason.IMAGE_SCHEME_OFF, True)


def test_each_scheme_is_had_where_its_setting_says(closing: ExitStack, tmp_path: Path) -> None:
    """A file of the root, and a host that is allowed; no other."""
    (tmp_path / "a.jpg").write_bytes(b"of a file")
    with loopback() as servers:
        port = servers.serve(answering(b"of a host"))
        settings = WorkerSettings(
            image_root=tmp_path,
            image_allowed_hosts="127.0.0.1",
            image_networks="127.0.0.0/8",
            image_ports=str(port),
        )
        source = configured_source(settings, Unwatched(), closing).images
        references = [
            reference_to("a.jpg"),
            f"http://127.0.0.1:{port}/a.jpg",
            f"http://127.0.0.2:{port}/a.jpg",
        ]
        fetched = images(source.fetch(references))
    assert fetched[:2] == [b"of a file", b"of a host"]
    assert isinstance(fetched[2], ImageProblem)
    assert fetched[2].reason == Reason.IMAGE_ADDRESS_FORBIDDEN
    assert len(servers.dialled) == 1


def test_any_public_host_is_no_host_of_this_machine(closing: ExitStack) -> None:
    """Nothing of the network inside is opened by allowing all that is outside."""
    with loopback() as servers:
        port = servers.serve(answering(b"x"))
        settings = WorkerSettings(image_allow_any_public=True, image_ports=str(port))
        source = configured_source(settings, Unwatched(), closing).images
        (problem,) = source.fetch([f"http://127.0.0.1:{port}/"])
    assert isinstance(problem, ImageProblem)
    assert (problem.reason, servers.dialled) == (Reason.IMAGE_ADDRESS_FORBIDDEN, [])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (WorkerSettings(image_allowed_hosts="http://a.example"), "image_allowed_hosts"),
        (WorkerSettings(image_allowed_hosts="a.example", image_ports="80,70000"), "image_ports"),
        (WorkerSettings(image_allowed_hosts="a.example", image_ports="0"), "image_ports"),
        (
            WorkerSettings(image_allowed_hosts="a.example", image_networks="10.0.0.1/8"),
            "image_networks",
        ),
    ],
)
def test_rules_that_cannot_be_read_refuse_by_name(
    settings: WorkerSettings, named: str, closing: ExitStack
) -> None:
    """A typing error must not open or close more than was meant."""
    with pytest.raises(BadRules, match=named):
        configured_source(settings, Unwatched(), closing)


def test_who_fetches_nothing_by_http_does_not_load_its_client() -> None:
    """It would cost each worker memory, and time at its start."""
    code = (
        "import sys; from contextlib import ExitStack; from worker.settings import WorkerSettings;"
        "from worker.images.configured import configured_source as made;"
        "from worker.images.sources import Unwatched;"
        "made(WorkerSettings(), Unwatched(), ExitStack());"
        "print([name for name in ('aiohttp', 'yarl', 'aiodns') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

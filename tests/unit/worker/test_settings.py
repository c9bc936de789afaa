import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.settings import WorkerSettings
from worker.settings_sources import SettingsError, describe, read, unit
from worker.timeout_settings import NESTING


@pytest.fixture(autouse=True)
def _empty_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("TUWEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_fit_together() -> None:
    """A worker can start with nothing set."""
    settings = read({})
    assert (settings.group, settings.metrics_port, settings.delivery) == (
        "tuwen",
        None,
        "exactly-once",
    )


def test_a_flag_wins_over_a_variable_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Flags > TUWEN_… > tuwen.toml > default, setting by setting."""
    (tmp_path / "tuwen.toml").write_text("group = 'file'\nprocesses = 2\nposts_topic = 'p'\n")
    monkeypatch.setenv("TUWEN_GROUP", "variable")
    monkeypatch.setenv("TUWEN_PROCESSES", "3")
    settings = read({"group": "flag", "slot": None})
    assert (settings.group, settings.processes, settings.posts_topic) == ("flag", 3, "p")


def test_each_setting_says_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`tuwen settings` names flag, variable, file or default."""
    (tmp_path / "tuwen.toml").write_text("processes = 2\n")
    monkeypatch.setenv("TUWEN_IMAGE_ROOT", "/pictures")
    sources = {line.name: line.source for line in describe({"log_level": "debug"})}
    assert [sources[name] for name in ("log_level", "image_root", "processes", "group")] == [
        "--log-level",
        "TUWEN_IMAGE_ROOT",
        "tuwen.toml: processes",
        "default",
    ]


def test_every_setting_tells_how_to_choose_it() -> None:
    """No setting without a sentence, and each quantity has a unit."""
    lines = {line.name: line for line in describe({})}
    assert set(lines) == set(WorkerSettings.model_fields)
    assert all(len(line.choosing) >= 10 for line in lines.values())
    assert lines["session_timeout_ms"].unit == "ms"
    assert [unit(name) for name in ("image_bytes_max", "batch_records_max", "group")] == [
        "bytes",
        "records",
        "",
    ]


def test_an_unknown_variable_refuses_and_names_the_one_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A misspelt variable does not silently do nothing."""
    monkeypatch.setenv("TUWEN_BOOTSTRAP_SERVER", "localhost:1")
    with pytest.raises(SettingsError, match=r"TUWEN_BOOTSTRAP_SERVER .*bootstrap_servers"):
        read({})


def test_variables_of_tests_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests and the file's place need does not stop a worker."""
    monkeypatch.setenv("TUWEN_TEST_DATA", "/somewhere")
    assert read({}).processes == 1


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand on `${TUWEN_METRICS_PORT:-}`."""
    monkeypatch.setenv("TUWEN_METRICS_PORT", "")
    assert read({}).metrics_port is None


def test_an_unknown_key_of_the_file_refuses_and_is_named(tmp_path: Path) -> None:
    """A misspelt key does not silently do nothing."""
    (tmp_path / "tuwen.toml").write_text("grup = 'x'\n")
    with pytest.raises(SettingsError, match=r"tuwen\.toml: grup is no setting .*group"):
        read({})


def test_an_unknown_flag_refuses_and_is_named() -> None:
    """Flags that no setting knows are refused like the rest."""
    with pytest.raises(SettingsError, match=r"--no-such is no setting"):
        read({"no_such": 1})


def test_the_file_may_be_named_by_flag_or_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--config wins over TUWEN_CONFIG."""
    (tmp_path / "a.toml").write_text("group = 'a'\n")
    (tmp_path / "b.toml").write_text("group = 'b'\n")
    monkeypatch.setenv("TUWEN_CONFIG", str(tmp_path / "a.toml"))
    assert read({}).group == "a"
    assert read({}, tmp_path / "b.toml").group == "b"


def test_a_named_file_that_is_not_there_refuses(tmp_path: Path) -> None:
    """Only the default file may be absent."""
    with pytest.raises(SettingsError, match=r"none\.toml does not exist"):
        read({}, tmp_path / "none.toml")


def test_a_file_that_is_not_toml_refuses(tmp_path: Path) -> None:
    """The place of the mistake is in the message."""
    (tmp_path / "tuwen.toml").write_text("group = \n")
    with pytest.raises(SettingsError, match=r"tuwen\.toml is not TOML: .*line 1"):
        read({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TUWEN_METRICS_PORT", "70000"),
        ("TUWEN_METRICS_PORT", "0"),
        ("TUWEN_SLOT", "-1"),
        ("TUWEN_PROCESSES", "0"),
        ("TUWEN_DELIVERY", "at-most-once"),
        ("TUWEN_INSTANCE", "a/b"),
        ("TUWEN_BOOTSTRAP_SERVERS", "localhost"),
        ("TUWEN_IMAGE_BYTES_MAX", "-1"),
        ("TUWEN_ON_IMAGE_FAILURE", "retry"),
        ("TUWEN_ON_IMAGE_FAILURE", "image-tiemout=retry"),
        ("TUWEN_ON_IMAGE_FAILURE", "image-timeout=again"),
        ("TUWEN_STOP_TIMEOUT_S", "nan"),
        ("TUWEN_ABSTAIN_BELOW", "1.01"),
        ("TUWEN_ABSTAIN_BELOW", "nan"),
    ],
)
def test_an_impossible_value_refuses_under_the_name_it_was_given(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The operator reads the variable that was set, and its value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable} = '{value}'"):
        read({})


def test_a_reason_that_is_none_refuses_wherever_it_is_named(tmp_path: Path) -> None:
    """File and flag alike, each under the name that it has there."""
    with pytest.raises(SettingsError, match=r"--on-image-failure = .*no reason"):
        read({"on_image_failure": "image-lost=retry"})
    (tmp_path / "tuwen.toml").write_text("on_image_failure = 'image-lost=retry'\n")
    with pytest.raises(SettingsError, match=r"tuwen\.toml: on_image_failure = .*no reason"):
        read({})


def test_bytes_may_be_written_with_their_unit() -> None:
    """`20MiB` is 20·2²⁰ bytes."""
    assert read({"image_bytes_max": "20MiB"}).image_bytes_max == 20 * 2**20


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"delivery_timeout_ms": 5_000}, ["request_timeout_ms", "delivery_timeout_ms"]),
        ({"transaction_timeout_ms": 6_000}, ["delivery_timeout_ms", "transaction_timeout_ms"]),
        ({"session_timeout_ms": 10_000}, ["transaction_timeout_ms", "session_timeout_ms"]),
        ({"max_poll_interval_ms": 15_000}, ["session_timeout_ms", "max_poll_interval_ms"]),
        ({"batch_records_max": 4_000}, ["batch_records_max", "in_flight_records_max"]),
        ({"poll_records_max": 4_000}, ["poll_records_max", "in_flight_records_max"]),
        ({"image_bytes_max": "1GiB"}, ["image_bytes_max", "in_flight_bytes_max"]),
        ({"posts_topic": "t", "verdicts_topic": "t"}, ["posts_topic", "verdicts_topic"]),
        ({"slot": 1, "processes": 2}, ["slot", "processes"]),
        ({"image_networks": "10.0.0.0/8"}, ["image_networks", "image_allowed_hosts"]),
        (
            {
                "image_networks": "10.0.0.0/8",
                "image_allowed_hosts": "a.example",
                "image_allow_any_public": True,
            },
            ["image_networks", "image_allow_any_public"],
        ),
        ({"group": "g" * 120, "instance": "i" * 121}, ["group", "instance", "241", "240"]),
    ],
)
def test_settings_that_do_not_fit_together_refuse_and_are_named(
    flags: dict[str, object], named: list[str]
) -> None:
    """Each value is possible alone; the pair is not."""
    with pytest.raises(SettingsError) as refusal:
        read(flags)
    assert [name for name in named if name not in str(refusal.value)] == []


@given(st.lists(st.integers(6_000, 60_000), min_size=4, max_size=4))
def test_timeouts_are_accepted_exactly_when_they_nest(timeouts: list[int]) -> None:
    """Delivery < transaction < session < max_poll_interval, whatever the values."""
    nests = all(a < b for a, b in pairwise(timeouts))
    try:
        WorkerSettings(**dict(zip(NESTING[1:], timeouts, strict=True)))  # type: ignore[arg-type]
    except ValidationError:
        assert not nests
    else:
        assert nests


def test_the_worker_itself_reads_nothing_from_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables count only where they are read on purpose."""
    monkeypatch.setenv("TUWEN_GROUP", "variable")
    assert WorkerSettings().group == "tuwen"

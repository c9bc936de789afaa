"""Settings of buckets: what fits together, and secrets that nobody reads."""

import json
from pathlib import Path

import pytest

from tuwen.command import run
from worker.bucket_settings import BUCKET_SECRETS
from worker.secret_settings import WITH_SECRETS
from worker.settings import WorkerSettings
from worker.settings_sources import NAMES, SettingsError, read

SECRET = "open-sesame-8261"
OF_ALL = {
    "s3_buckets": "photos",
    "s3_access_key_id": "reader",
    "gs_buckets": "photos",
    "az_containers": "photos",
    "az_account": "photos",
}


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave the settings of whoever runs the tests out of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUWEN_TEST_DATA", raising=False)


def test_no_bucket_is_read_without_a_setting() -> None:
    """Each scheme is off by default, and says nothing of anybody."""
    settings = read({})
    assert (settings.s3_buckets, settings.gs_buckets, settings.az_containers) == ("", "", "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"s3_region": "eu-west-1"}, "s3_region is set, and s3_buckets names none"),
        ({"gs_service_account_key_file": "k"}, "gs_service_account_key_file is set, and gs_buck"),
        ({"az_account": "photos"}, "az_account is set, and az_containers names none"),
        ({"az_containers": "photos"}, "az_containers needs az_account"),
        ({"s3_buckets": "photos", "s3_access_key_id": "reader"}, "s3_access_key_id and its secret"),
        ({"s3_buckets": "photos", "s3_secret_access_key_file": "k"}, "s3_access_key_id and its"),
        ({"s3_buckets": "photos/private"}, "--s3-buckets = 'photos/private'"),
        ({"s3_buckets": "photos, films"}, "--s3-buckets"),
        ({"s3_buckets": "../photos"}, "--s3-buckets"),
        ({"s3_buckets": "photos", "s3_endpoint": "minio:9000"}, "--s3-endpoint"),
        ({"s3_buckets": "photos", "s3_endpoint": "https://a:b@minio"}, "--s3-endpoint"),
    ],
)
def test_settings_of_buckets_that_do_not_fit_refuse_by_name(
    flags: dict[str, object], said: str
) -> None:
    """One of them would silently do nothing, or harm."""
    with pytest.raises(SettingsError, match=said):
        read(flags)


@pytest.mark.parametrize("secret", BUCKET_SECRETS)
def test_two_sources_of_one_bucket_secret_refuse(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """One of them would silently lose."""
    monkeypatch.setenv(f"TUWEN_{secret.upper()}", SECRET)
    with pytest.raises(SettingsError, match=f"{secret} and {secret}_file are both set"):
        read(OF_ALL | {f"{secret}_file": "k"})


@pytest.mark.parametrize("secret", BUCKET_SECRETS)
def test_a_bucket_secret_in_the_file_of_settings_is_refused_and_not_shown(
    tmp_path: Path, secret: str
) -> None:
    """Such files are shown around, and kept with the code."""
    (tmp_path / "tuwen.toml").write_text(f"{secret} = '{SECRET}'\n")
    with pytest.raises(SettingsError, match=f"{secret} is a secret") as refused:
        read({})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", ["s3_secret_access_key", "az_sas_token"])
def test_a_bucket_secret_that_is_refused_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """Neither in the text of the error nor in that of its cause."""
    monkeypatch.setenv(f"TUWEN_{secret.upper()}", f"{SECRET}\n")
    with pytest.raises(SettingsError, match=f"TUWEN_{secret.upper()}: it holds a line end") as no:
        read(OF_ALL)
    assert SECRET not in f"{no.value} {no.value.__cause__}"


def test_a_bucket_secret_is_shown_in_no_command_and_is_no_flag(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As text, as JSON, as help, with or without a contradiction."""
    for secret in BUCKET_SECRETS:
        monkeypatch.setenv(f"TUWEN_{secret.upper()}", SECRET)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in OF_ALL.items()]
    assert run(["settings", *flags]) == 0
    assert run(["settings", *flags, "--json"]) == 0
    assert run(["settings", *flags[1:]]) == 2
    said = capsys.readouterr()
    assert "s3_secret_access_key = **********" in said.out
    run(["worker", "--help"])
    helped = capsys.readouterr().out
    assert "--s3-secret-access-key-file" in helped
    assert [name for name in BUCKET_SECRETS if f"--{name.replace('_', '-')} " in helped] == []
    assert SECRET not in said.out + said.err + helped


def test_a_bucket_secret_reaches_a_child_and_no_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's pipe asks for it; what is written down otherwise hides it."""
    for secret in BUCKET_SECRETS:
        monkeypatch.setenv(f"TUWEN_{secret.upper()}", SECRET)
    settings = read(OF_ALL)
    told = settings.model_dump_json(context=WITH_SECRETS)
    assert WorkerSettings.model_validate_json(told) == settings
    assert [json.loads(told)[secret] for secret in BUCKET_SECRETS] == [SECRET] * 3
    dumps = [settings.model_dump_json(), repr(settings), str(settings), str(settings.model_dump())]
    assert [dump for dump in dumps if SECRET in dump] == []


def test_what_only_buckets_need_is_shown_after_what_everybody_sets() -> None:
    """A first look at the settings meets the common ones."""
    assert NAMES.index("s3_buckets") > NAMES.index("stop_timeout_s")
    assert NAMES.index("bucket_allow_http") < NAMES.index("security_protocol")

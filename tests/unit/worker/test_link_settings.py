"""Settings of a secured Kafka that contradict each other, and secrets that nobody may read."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tuwen.command import run
from worker.children import Child
from worker.link_settings import SECRETS, SecuritySettings
from worker.secret_settings import WITH_SECRETS
from worker.settings import WorkerSettings
from worker.settings_sources import NAMES, SettingsError, read

SECRET = "correct-horse-battery"
SASL = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_user": "labeller",
    "sasl_password_file": "password",
}


@pytest.fixture(autouse=True)
def _empty_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("TUWEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_is_secured_unless_it_is_asked_for() -> None:
    """The local Kafka asks for nothing."""
    settings = read({})
    assert (settings.security_protocol, settings.uses_tls, settings.uses_sasl) == (
        "PLAINTEXT",
        False,
        False,
    )


@pytest.mark.parametrize(
    "flags",
    [
        {"security_protocol": "SSL"},
        {"security_protocol": "SSL", "tls_certificate_file": "both.pem"},
        SASL,
        SASL | {"security_protocol": "SASL_PLAINTEXT"},
        SASL | {"sasl_mechanism": "PLAIN"},
        SASL
        | {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_in_the_clear": "true",
        },
        SASL | {"tls_certificate_file": "c.pem", "tls_key_file": "k.pem"},
    ],
)
def test_what_fits_together_is_taken(flags: dict[str, object]) -> None:
    """TLS, mutual TLS, and each mechanism of SASL."""
    assert read(flags).security_protocol == flags["security_protocol"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {"tls_ca_file": "ca.pem"},
            r"tls_ca_file is set, and security_protocol \(PLAINTEXT\) makes no use of it",
        ),
        (
            {"tls_check_hostname": "false"},
            r"tls_check_hostname is set, and security_protocol \(PLAINTEXT\)",
        ),
        (
            SASL | {"security_protocol": "SSL"},
            r"sasl_mechanism is set, and security_protocol \(SSL\) makes no use of it",
        ),
        (
            SASL | {"sasl_mechanism": None},
            r"security_protocol \(SASL_SSL\) needs sasl_mechanism",
        ),
        (SASL | {"sasl_user": None}, r"security_protocol \(SASL_SSL\) needs sasl_user"),
        (SASL | {"sasl_password_file": None}, r"sasl_user \(labeller\) needs a password"),
        (
            SASL | {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"},
            "shows the password to the network: use SASL_SSL or SCRAM",
        ),
        (
            {"security_protocol": "SSL", "tls_key_file": "k.pem"},
            "tls_key_file is set, and tls_certificate_file is not",
        ),
        (
            {"security_protocol": "SSL", "tls_key_password_file": "p"},
            "tls_key_password_file is set, and tls_certificate_file is not",
        ),
        ({"security_protocol": "TLS"}, "--security-protocol = 'TLS'"),
        (SASL | {"sasl_mechanism": "GSSAPI"}, "--sasl-mechanism = 'GSSAPI'"),
        (SASL | {"sasl_user": "a\nb"}, "--sasl-user = .*control character"),
    ],
)
def test_settings_that_contradict_each_other_refuse_by_name(
    flags: dict[str, object], said: str
) -> None:
    """Each value is possible alone; together one of them would silently do nothing, or harm."""
    with pytest.raises(SettingsError, match=said):
        read(flags)


@pytest.mark.parametrize("secret", SECRETS)
def test_two_sources_of_one_secret_refuse(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """One of them would silently lose."""
    monkeypatch.setenv(f"TUWEN_{secret.upper()}", SECRET)
    flags = {"tls_certificate_file": "c.pem", "tls_key_password_file": "k"}
    with pytest.raises(SettingsError, match=f"{secret} and {secret}_file are both set"):
        read(SASL | flags)


def test_a_secret_is_read_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be had."""
    monkeypatch.setenv("TUWEN_SASL_PASSWORD", SECRET)
    settings = read(SASL | {"sasl_password_file": None})
    assert settings.sasl_password is not None
    assert settings.sasl_password.get_secret_value() == SECRET


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_the_file_of_settings_is_refused_and_not_shown(
    tmp_path: Path, secret: str
) -> None:
    """Such files are shown around, and kept with the code."""
    (tmp_path / "tuwen.toml").write_text(f"{secret} = '{SECRET}'\n")
    with pytest.raises(SettingsError, match=f"{secret} is a secret") as refused:
        read({})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_is_refused_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """Neither in the text of the error nor in that of its cause."""
    monkeypatch.setenv(f"TUWEN_{secret.upper()}", f"{SECRET}\n")
    with pytest.raises(SettingsError, match=f"TUWEN_{secret.upper()}: it holds a line end") as no:
        read(SASL | {"tls_certificate_file": "c.pem", "sasl_password_file": None})
    assert SECRET not in f"{no.value} {no.value.__cause__}"


def test_a_secret_is_shown_in_no_settings_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As text, as JSON, as help, with or without a contradiction."""
    for secret in SECRETS:
        monkeypatch.setenv(f"TUWEN_{secret.upper()}", SECRET)
    flags = ["--security-protocol", "SASL_SSL", "--tls-certificate-file", "c.pem"]
    whole = [*flags, "--sasl-mechanism", "PLAIN", "--sasl-user", "labeller"]
    assert run(["settings", *whole]) == 0
    assert run(["settings", *whole, "--json"]) == 0
    assert run(["settings", *flags]) == 2
    for command in ("settings", "worker", "send"):
        run([command, "--help"])
    said = capsys.readouterr()
    assert "sasl_password = **********" in said.out
    assert SECRET not in said.out + said.err


def test_a_secret_is_no_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever lists the processes of a machine reads their flags."""
    run(["worker", "--help"])
    flags = capsys.readouterr().out
    assert "--sasl-password-file" in flags
    assert [secret for secret in SECRETS if f"--{secret.replace('_', '-')} " in flags] == []


def test_a_secret_reaches_a_child_and_no_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's pipe asks for it; what is written down otherwise hides it."""
    monkeypatch.setenv("TUWEN_SASL_PASSWORD", SECRET)
    settings = read(SASL | {"sasl_password_file": None})
    told = settings.model_dump_json(context=WITH_SECRETS)
    assert WorkerSettings.model_validate_json(told) == settings
    assert json.loads(told)["sasl_password"] == SECRET
    dumps = [settings.model_dump_json(), repr(settings), str(settings), str(settings.model_dump())]
    assert [dump for dump in dumps if SECRET in dump] == []


def test_what_only_a_secured_kafka_needs_is_shown_last() -> None:
    """A first look at the settings meets what everybody sets."""
    assert set(NAMES) == set(WorkerSettings.model_fields)
    assert set(NAMES[-len(SecuritySettings.model_fields) :]) == set(SecuritySettings.model_fields)


def test_a_child_is_told_the_secret_on_a_pipe_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It connects as its parent would; nobody else reads its standard input."""
    monkeypatch.setenv("TUWEN_SASL_PASSWORD", SECRET)
    settings = read(SASL | {"sasl_password_file": None})
    script = f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.readline())"
    child = Child(settings, (sys.executable, "-c", script))
    try:
        while child.exit_code() is None:
            time.sleep(0.01)  # nothing to wait on: another process
    finally:
        child.kill()
    told = WorkerSettings.model_validate_json((tmp_path / "told").read_text())
    assert told == settings

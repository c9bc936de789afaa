"""Files of a secured link: each fault is told with the setting, the file and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from worker.errors import LinkFileRefused
from worker.kafka import link_files
from worker.kafka.link_files import client_config, secret
from worker.link_settings import SecuritySettings

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate with its key beside it and within it, and another's key."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("client.example")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    (folder / "certificate.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (folder / "both.pem").write_bytes(issued.private_key_pem.bytes() + chain)
    (folder / "encrypted.pem").write_bytes(
        key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
        )
    )
    authority.issue_cert("other.example").private_key_pem.write_to_path(folder / "other.pem")
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "wrong").write_text("wrong\r\n")
    (folder / "text").write_text("no PEM at all\n")
    (folder / "lines").write_text("battery\nstaple\n")
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "folder").mkdir()
    return folder


def tls(files: Path, **names: str) -> SecuritySettings:
    """Settings of TLS; `names` are files in the folder."""
    paths = {f"tls_{name}_file": files / value for name, value in names.items()}
    return SecuritySettings.model_validate({"security_protocol": "SSL", **paths})


def sasl(files: Path, name: str) -> SecuritySettings:
    """Settings of SCRAM with the password in a file."""
    return SecuritySettings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_user="labeller",
        sasl_password_file=files / name,
    )


def test_what_is_whole_becomes_the_clients_configuration(files: Path) -> None:
    """Certificate, key and password, each under kafka-python's name."""
    given = tls(
        files,
        ca="ca.pem",
        certificate="certificate.pem",
        key="encrypted.pem",
        key_password="password",
    )
    assert client_config(given) == {
        "security_protocol": "SSL",
        "ssl_check_hostname": True,
        "ssl_cafile": str(files / "ca.pem"),
        "ssl_certfile": str(files / "certificate.pem"),
        "ssl_keyfile": str(files / "encrypted.pem"),
        "ssl_password": PASSWORD,
    }
    assert client_config(sasl(files, "password")) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "labeller",
        "sasl_plain_password": PASSWORD,
    }


def test_a_key_may_be_in_the_certificates_file(files: Path) -> None:
    """And a key without a password never has OpenSSL ask a terminal for one."""
    config = client_config(tls(files, certificate="both.pem"))
    assert (config["ssl_keyfile"], config["ssl_password"]) == (str(files / "both.pem"), "")


@pytest.mark.parametrize(
    ("names", "setting", "why"),
    [
        ({"ca": "none"}, "tls_ca_file", "does not exist"),
        ({"ca": "folder"}, "tls_ca_file", "is a folder or no file"),
        ({"ca": "text"}, "tls_ca_file", "holds no certificate in PEM form"),
        ({"certificate": "none"}, "tls_certificate_file", "does not exist"),
        ({"certificate": "key.pem"}, "tls_certificate_file", "holds no certificate in PEM"),
        ({"certificate": "certificate.pem"}, "tls_certificate_file", "holds no private key"),
        (
            {"certificate": "certificate.pem", "key": "ca.pem"},
            "tls_key_file",
            "holds no private key in PEM form",
        ),
        (
            {"certificate": "certificate.pem", "key": "other.pem"},
            "tls_key_file",
            "is not the key of the certificate in .*certificate.pem",
        ),
        (
            {"certificate": "certificate.pem", "key": "encrypted.pem"},
            "tls_key_file",
            "is encrypted: set tls_key_password_file",
        ),
        (
            {"certificate": "certificate.pem", "key": "encrypted.pem", "key_password": "wrong"},
            "tls_key_file",
            "does not open with the password of tls_key_password",
        ),
        (
            {"certificate": "both.pem", "key_password": "none"},
            "tls_key_password_file",
            "does not exist",
        ),
    ],
)
def test_a_file_of_tls_that_cannot_be_used_is_named(
    files: Path, names: dict[str, str], setting: str, why: str
) -> None:
    """Before any connection, and with what to do."""
    with pytest.raises(LinkFileRefused, match=rf"^{setting} \(.*\) {why}"):
        client_config(tls(files, **names))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none", "does not exist"),
        ("folder", "is a folder or no file"),
        ("empty", "is empty"),
        ("lines", "holds more than one line"),
        ("binary", "is no text in UTF-8"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_named_and_not_shown(
    files: Path, name: str, why: str
) -> None:
    """The content may be a secret all the same."""
    with pytest.raises(LinkFileRefused, match=rf"^sasl_password_file \(.*\) {why}") as refused:
        client_config(sasl(files, name))
    assert "battery" not in str(refused.value)


def test_a_file_that_may_not_be_read_is_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted secrets often belong to another user."""

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(LinkFileRefused, match="cannot be read: Permission denied"):
        secret(sasl(files, "password"), "sasl_password")


def test_a_file_is_read_up_to_a_bound(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name, of a log perhaps, does not fill the memory."""
    monkeypatch.setattr(link_files, "PASSWORD_BYTES_MAX", 4)
    with pytest.raises(LinkFileRefused, match="is larger than 4 bytes"):
        secret(sasl(files, "password"), "sasl_password")


def test_the_end_of_a_line_is_no_part_of_a_password(files: Path, tmp_path: Path) -> None:
    """Editors and `echo` add one; blanks stay, they may be meant."""
    written: list[tuple[str, Callable[[str], str]]] = [
        ("a", lambda word: word),
        ("b", lambda word: f"{word}\n"),
        ("c", lambda word: f"{word}\r\n"),
    ]
    for name, ending in written:
        (tmp_path / name).write_bytes(ending(" pass word ").encode())
        assert secret(sasl(tmp_path, name), "sasl_password") == " pass word "

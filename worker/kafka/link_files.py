"""Read the files of a secured link, and tell kafka-python what it needs to know of all of it."""

import ssl
from pathlib import Path
from typing import Any, Final, NoReturn

from worker.errors import LinkFileRefused
from worker.link_settings import SecuritySettings

FILE_BYTES_MAX: Final = 2**20
"""Of certificates and keys; a thousand authorities are less."""
PASSWORD_BYTES_MAX: Final = 4096


def client_config(security: SecuritySettings) -> dict[str, Any]:
    """Give what of kafka-python's configuration is about trust.

    Raises:
        LinkFileRefused: a file is missing, or does not hold what its setting says.
    """
    config: dict[str, Any] = {"security_protocol": security.security_protocol}
    if security.uses_tls:
        config |= _tls(security)
    if security.uses_sasl:
        config["sasl_mechanism"] = security.sasl_mechanism
        config["sasl_plain_username"] = security.sasl_user
        config["sasl_plain_password"] = secret(security, "sasl_password")
    return config


def secret(security: SecuritySettings, name: str) -> str | None:
    """Give a secret as it is now, from its setting or its file; None where neither is set.

    Raises:
        LinkFileRefused: the file cannot be used.
    """
    given = getattr(security, name)
    if given is not None:
        return str(given.get_secret_value())
    setting = f"{name}_file"
    path = getattr(security, setting)
    if path is None:
        return None
    try:
        text = _content(setting, path, PASSWORD_BYTES_MAX).decode()
    except UnicodeDecodeError:
        _refuse(setting, path, "is no text in UTF-8")
    line = text.removesuffix("\n").removesuffix("\r")
    if not line:
        _refuse(setting, path, "is empty: it must hold the password")
    if not line.isprintable():
        _refuse(setting, path, "holds more than one line: it must hold the password alone")
    return line


def _tls(security: SecuritySettings) -> dict[str, Any]:
    """Load all once, so that a fault is told of a file and not of a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    config: dict[str, Any] = {"ssl_check_hostname": security.tls_check_hostname}
    if security.tls_ca_file is not None:
        _load_authorities(context, security.tls_ca_file)
        config["ssl_cafile"] = str(security.tls_ca_file)
    if security.tls_certificate_file is not None:
        password = secret(security, "tls_key_password")
        _load_certificate(context, security, password)
        config["ssl_certfile"] = str(security.tls_certificate_file)
        config["ssl_keyfile"] = _key_file(security)
        # Without any, OpenSSL would ask the terminal when the key turns out to be encrypted.
        config["ssl_password"] = password or ""
    return config


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    _content("tls_ca_file", path, FILE_BYTES_MAX)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        _refuse("tls_ca_file", path, "holds no certificate in PEM form")


def _load_certificate(
    context: ssl.SSLContext, security: SecuritySettings, password: str | None
) -> None:
    certificate, key = security.tls_certificate_file, Path(_key_file(security))
    assert certificate is not None
    key_setting = "tls_key_file" if security.tls_key_file else "tls_certificate_file"
    _demand("tls_certificate_file", certificate, b"-----BEGIN CERTIFICATE-----", "certificate")
    _demand(key_setting, key, b"PRIVATE KEY-----", "private key")
    asked: list[bool] = []

    def answer() -> str:
        asked.append(True)
        return password or ""

    try:
        context.load_cert_chain(certificate, key, answer)
    except ssl.SSLError as error:
        if asked and password is None:
            _refuse(key_setting, key, "is encrypted: set tls_key_password_file")
        if asked:
            _refuse(key_setting, key, "does not open with the password of tls_key_password")
        if error.reason == "KEY_VALUES_MISMATCH":
            _refuse(key_setting, key, f"is not the key of the certificate in {certificate}")
        _refuse("tls_certificate_file", certificate, f"or its key cannot be used ({error.reason})")


def _key_file(security: SecuritySettings) -> str:
    return str(security.tls_key_file or security.tls_certificate_file)


def _demand(setting: str, path: Path, mark: bytes, kind: str) -> None:
    if mark not in _content(setting, path, FILE_BYTES_MAX):
        _refuse(setting, path, f"holds no {kind} in PEM form")


def _content(setting: str, path: Path, bytes_max: int) -> bytes:
    try:
        if not path.is_file():
            _refuse(setting, path, "is a folder or no file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        _refuse(setting, path, f"cannot be read: {error.strerror}")
    if len(content) > bytes_max:
        _refuse(setting, path, f"is larger than {bytes_max:,} bytes: it must be another file")
    return content


def _refuse(setting: str, path: Path, why: str) -> NoReturn:
    raise LinkFileRefused(f"{setting} ({path}) {why}") from None

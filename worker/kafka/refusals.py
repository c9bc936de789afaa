"""Say of a connection that failed whether broker and client refuse each other, and what to do.

kafka-python retries and, in the end, tells of a timeout; the cause is in the failure of each
connection, which `worker.kafka.connections` keeps.
"""

import ssl
from collections.abc import Iterator
from typing import Final

import kafka.errors as client

from worker.link_settings import SecuritySettings

# OpenSSL's X509_V_ERR_… numbers: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})

_CERTIFICATE_ALERTS: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
)
_NOTHING_IN_COMMON: Final = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "HANDSHAKE_FAILURE")
_NO_TLS: Final = ("EOF", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
# How an alert and a handshake of TLS begin: their kind and the version, which a client of Kafka
# takes for the first half of a length.
_TLS_BEGINNINGS: Final = frozenset({0x1503, 0x1603})


def refusal(failure: BaseException | None, security: SecuritySettings) -> str:
    """Say in one line what is refused and what to do; empty when it is no matter of trust."""
    for cause in _chain(failure):
        said = _said(cause, security)
        if said:
            return said
    if security.uses_tls and "Handshake failed" in str(failure):
        return _no_tls(security)
    return ""


def hung_up(failure: BaseException | None, security: SecuritySettings) -> str:
    """Say what a broker may want that took a connection and closed it at the first question."""
    if "socket disconnected" not in str(failure) or security.uses_sasl:
        return ""
    wanted = "" if security.uses_tls else "TLS, or "
    return (
        f"what listens there hangs up at the first request: if it asks for {wanted}a user and a "
        f"password, security_protocol ({security.security_protocol}) must say so"
    )


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    """Give a failure and what it was made of: kafka-python puts causes into texts and arguments."""
    while failure is not None:
        yield failure
        inner = failure.args[0] if failure.args else None
        if isinstance(inner, BaseException):
            yield inner
        failure = failure.__cause__ or failure.__context__


def _said(cause: BaseException, security: SecuritySettings) -> str:
    match cause:
        case ssl.SSLCertVerificationError():
            return _untrusted(cause, security)
        case ssl.SSLError():
            return _tls_fault(cause, security)
        case client.SaslAuthenticationFailedError():
            return _not_believed(security)
        case client.UnsupportedSaslMechanismError():
            return (
                f"the broker does not know sasl_mechanism ({security.sasl_mechanism}) there: set "
                "one that its listener has enabled"
            )
        case client.IllegalSaslStateError():
            without = "SSL" if security.uses_tls else "PLAINTEXT"
            return (
                "the broker asks for no user and password there: set security_protocol to "
                f"{without}, or name its port for SASL"
            )
        case client.InvalidReceiveError() if not security.uses_tls and _is_tls(cause):
            secured = "SASL_SSL" if security.uses_sasl else "SSL"
            return (
                "what listens there speaks TLS: set security_protocol to "
                f"{secured}, or name its port for {security.security_protocol}"
            )
    return ""


def _untrusted(cause: ssl.SSLCertVerificationError, security: SecuritySettings) -> str:
    code = cause.verify_code
    if code == _EXPIRED:
        return "the broker's certificate has expired: have it renewed, or set this machine's clock"
    if code == _NOT_YET_VALID:
        return "the broker's certificate is not valid yet: see whether this machine's clock is slow"
    if code in _OTHER_NAME:
        what = cause.verify_message.partition("certificate is not valid for")[2].strip(" .")
        return (
            f"the broker's certificate is not for the name {what}: reach it by a name that it is "
            "for (bootstrap_servers and the brokers' advertised.listeners), or have one issued "
            "for this name; tls_check_hostname = false would let anybody with a certificate in"
        )
    if code in _UNKNOWN_AUTHORITY:
        trusted = (
            "no authority that this system trusts: name the file of its authority with tls_ca_file"
            if security.tls_ca_file is None
            else f"no authority in tls_ca_file ({security.tls_ca_file}): put its authority there"
        )
        return f"the broker's certificate is signed by {trusted}"
    return f"the broker's certificate is not trusted: {cause.verify_message}"


def _tls_fault(cause: ssl.SSLError, security: SecuritySettings) -> str:
    reason = cause.reason or ""
    if reason.endswith(_CERTIFICATE_ALERTS):
        if security.tls_certificate_file is None:
            return (
                "the broker asks for a certificate of this client: set tls_certificate_file and "
                "tls_key_file"
            )
        return (
            "the broker does not accept the certificate in tls_certificate_file "
            f"({security.tls_certificate_file}): see that it has not expired, and that an "
            f"authority which the broker trusts signed it ({_spoken(reason)})"
        )
    if reason.endswith(_NOTHING_IN_COMMON):
        return f"broker and client have no version or cipher of TLS in common ({_spoken(reason)})"
    if any(word in reason for word in _NO_TLS):
        return _no_tls(security)
    return f"TLS fails: {_spoken(reason) or cause}"


def _no_tls(security: SecuritySettings) -> str:
    plain = "SASL_PLAINTEXT" if security.uses_sasl else "PLAINTEXT"
    return (
        "what listens there ends the handshake of TLS, as a port without TLS does: name the "
        f"broker's port for {security.security_protocol}, or set security_protocol to {plain}"
    )


def _not_believed(security: SecuritySettings) -> str:
    file = security.sasl_password_file
    source = f"sasl_password_file ({file})" if file else "TUWEN_SASL_PASSWORD"
    return (
        f"the broker does not accept sasl_user ({security.sasl_user}) with the password of "
        f"{source} by {security.sasl_mechanism}: correct them, or see that the user is known "
        "there by this mechanism"
    )


def _is_tls(cause: BaseException) -> bool:
    length = str(cause).rpartition(" ")[2]
    return length.isdigit() and int(length) >> 16 in _TLS_BEGINNINGS


def _spoken(reason: str) -> str:
    return reason.lower().replace("_", " ")

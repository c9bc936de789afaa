"""What a failed connection means: a refusal is told with its remedy, the rest is left alone."""

import re
import ssl

import kafka.errors as client
import pytest

from worker.kafka.refusals import hung_up, refusal
from worker.link_settings import SecuritySettings

PLAIN = SecuritySettings()
TLS = SecuritySettings(security_protocol="SSL")
SASL = SecuritySettings.model_validate(
    {
        "security_protocol": "SASL_SSL",
        "tls_certificate_file": "mine.pem",
        "sasl_mechanism": "PLAIN",
        "sasl_user": "labeller",
        "sasl_password": "correct-horse",
    }
)


def untrusted(code: int, message: str = "") -> client.KafkaError:
    """A handshake that failed for a certificate, as kafka-python tells of it."""
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = code, message
    failure = client.KafkaConnectionError(f"Handshake failed: {cause}")
    failure.__cause__ = cause
    return failure


def alert(reason: str) -> client.KafkaError:
    """An alert after the handshake, as kafka-python tells of it."""
    cause = ssl.SSLError(1, reason)
    cause.reason = reason
    return client.KafkaConnectionError(cause)


@pytest.mark.parametrize(
    ("failure", "security", "said"),
    [
        (untrusted(10), TLS, "certificate has expired"),
        (untrusted(9), TLS, "is not valid yet: see whether this machine's clock is slow"),
        (untrusted(20), TLS, "no authority that this system trusts"),
        (untrusted(19), TLS, "no authority that this system trusts"),
        (
            untrusted(62, "Hostname mismatch, certificate is not valid for 'broker'."),
            TLS,
            "is not for the name 'broker': reach it by a name",
        ),
        (untrusted(23, "certificate revoked"), TLS, "is not trusted: certificate revoked"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), TLS, "asks for a certificate"),
        (alert("SSLV3_ALERT_BAD_CERTIFICATE"), TLS, "asks for a certificate of this client"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), SASL, "does not accept the certificate in tls_cert"),
        (alert("TLSV1_ALERT_PROTOCOL_VERSION"), TLS, "no version or cipher of TLS in common"),
        (alert("WRONG_VERSION_NUMBER"), TLS, "as a port without TLS does"),
        (alert("DECRYPTION_FAILED"), TLS, "TLS fails: decryption failed"),
        (
            client.KafkaConnectionError("Handshake failed: [Errno 104] Connection reset by peer"),
            SASL,
            "as a port without TLS does: .* set security_protocol to SASL_PLAINTEXT",
        ),
        (client.SaslAuthenticationFailedError("no"), SASL, r"TUWEN_SASL_PASSWORD by PLAIN"),
        (client.UnsupportedSaslMechanismError(), SASL, r"does not know sasl_mechanism \(PLAIN\)"),
        (client.IllegalSaslStateError(), SASL, "set security_protocol to SSL"),
        (client.InvalidReceiveError("Invalid frame length: 352518912"), PLAIN, "speaks TLS"),
    ],
)
def test_a_refusal_is_told_in_one_line(
    failure: BaseException, security: SecuritySettings, said: str
) -> None:
    """Who refuses whom, and what to set; the password is never a part of it."""
    told = refusal(failure, security)
    assert re.search(said, told), told
    assert [part for part in ("\n", "correct-horse") if part in told] == []


@pytest.mark.parametrize(
    ("failure", "security"),
    [
        (None, TLS),
        (client.KafkaConnectionError("111 ECONNREFUSED"), SASL),
        (client.KafkaConnectionError("socket disconnected"), SASL),
        (client.InvalidReceiveError("Invalid frame length: 1000000000"), PLAIN),
        (client.KafkaTimeoutError(), PLAIN),
    ],
)
def test_a_broker_that_is_away_is_no_refusal(
    failure: BaseException | None, security: SecuritySettings
) -> None:
    """It is waited for, and nobody is told to change a setting."""
    assert refusal(failure, security) == ""


def test_who_hangs_up_at_the_first_request_may_want_more() -> None:
    """A port that asks for a user and a password says nothing when it is spoken to without."""
    gone = client.KafkaConnectionError("socket disconnected")
    assert "if it asks for TLS, or a user" in hung_up(gone, PLAIN)
    assert "if it asks for a user and a password" in hung_up(gone, TLS)
    assert hung_up(gone, SASL) == ""
    assert hung_up(client.KafkaConnectionError("111 ECONNREFUSED"), PLAIN) == ""

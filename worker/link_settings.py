"""Where Kafka is, how it is seen to be the right one, and how it is told who asks.

Frozen values that fit together; `worker.settings` gathers them with all others. The files that
they name are looked at when a connection is made.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    SecretStr,
    field_serializer,
    field_validator,
    model_validator,
)

from worker.secret_settings import demand_one_source_each, one_line, written_down

Servers = Annotated[str, Field(pattern=r"^[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*$")]


class SecuritySettings(BaseModel):
    """How a client and a broker come to trust each other. By default they do so blindly."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="As the brokers' listener has it, in Kafka's words. SSL is TLS, SASL a user "
        "and a password. PLAINTEXT only where the whole network is trusted.",
    )
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that may sign brokers' certificates. Unset, "
        "those that the system trusts.",
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM file of this client's own certificate with its chain, where brokers ask "
        "for one (mutual TLS). Read anew with each connection, like all of these files.",
    )
    tls_key_file: Path | None = Field(
        default=None,
        description="PEM file of that certificate's key. Unset, it is in the certificate's file.",
    )
    tls_key_password: SecretStr | None = Field(
        default=None,
        description="Password of an encrypted key. Never a flag and never in tuwen.toml: give the "
        "variable or tls_key_password_file.",
    )
    tls_key_password_file: Path | None = Field(
        default=None, description="File whose one line is the password of an encrypted key."
    )
    tls_check_hostname: bool = Field(
        default=True,
        description="Whether a broker's certificate must be for the name that it is reached by. "
        "Without, whoever holds any certificate of the same authority can pose as a broker.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None,
        description="How the password is proven, as the brokers have it. SCRAM never sends it.",
    )
    sasl_user: str | None = Field(
        default=None, min_length=1, description="User that the brokers' ACLs are about."
    )
    sasl_password: SecretStr | None = Field(
        default=None,
        description="Password of that user. Never a flag and never in tuwen.toml: give the "
        "variable or, better, sasl_password_file.",
    )
    sasl_password_file: Path | None = Field(
        default=None,
        description="File whose one line is the password, as a mounted secret is. Read anew with "
        "each connection: a changed password needs no restart.",
    )
    sasl_plain_in_the_clear: bool = Field(
        default=False,
        description="Allow PLAIN without TLS, which shows the password to the network. For tests.",
    )

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether a user and a password are asked for."""
        return self.security_protocol.startswith("SASL")

    @field_validator("sasl_user", "sasl_password", "tls_key_password")
    @classmethod
    def _one_line(cls, given: Any) -> Any:
        return one_line(given)

    @field_serializer("tls_key_password", "sasl_password", when_used="json-unless-none")
    def _hidden(self, secret: SecretStr, info: FieldSerializationInfo) -> str:
        return written_down(secret, info)

    @model_validator(mode="after")
    def _fits_the_protocol(self) -> Self:
        """What has no effect was meant to have one."""
        for prefix, used, needed in (
            ("tls_", self.uses_tls, "SSL or SASL_SSL"),
            ("sasl_", self.uses_sasl, "SASL_SSL"),
        ):
            idle = [name for name in self._given() if name.startswith(prefix)]
            if idle and not used:
                raise ValueError(
                    f"{idle[0]} is set, and security_protocol ({self.security_protocol}) makes no "
                    f"use of it: set security_protocol to {needed}, or unset {idle[0]}"
                )
        return self

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        """A mechanism, a user and one password; and none of it in the clear unawares."""
        if not self.uses_sasl:
            return self
        for name in ("sasl_mechanism", "sasl_user"):
            if getattr(self, name) is None:
                raise ValueError(f"security_protocol ({self.security_protocol}) needs {name}")
        if self.sasl_password is None and self.sasl_password_file is None:
            raise ValueError(
                f"sasl_user ({self.sasl_user}) needs a password: set sasl_password_file or "
                "TUWEN_SASL_PASSWORD"
            )
        if (
            self.sasl_mechanism == "PLAIN"
            and not self.uses_tls
            and not self.sasl_plain_in_the_clear
        ):
            raise ValueError(
                "sasl_mechanism (PLAIN) over security_protocol (SASL_PLAINTEXT) shows the password "
                "to the network: use SASL_SSL or SCRAM, or allow it with sasl_plain_in_the_clear"
            )
        return self

    @model_validator(mode="after")
    def _key_and_certificate_belong_together(self) -> Self:
        """No key without its certificate, no password without its key."""
        for name in ("tls_key_file", "tls_key_password", "tls_key_password_file"):
            if name in self._given() and self.tls_certificate_file is None:
                raise ValueError(f"{name} is set, and tls_certificate_file is not: set both")
        return self

    @model_validator(mode="after")
    def _one_source_of_each_secret(self) -> Self:
        demand_one_source_each(self, SECRETS)
        return self

    def _given(self) -> list[str]:
        """The settings that are not as they are by default, in their order."""
        fields = SecuritySettings.model_fields
        return [name for name in fields if getattr(self, name) != fields[name].default]


class LinkSettings(SecuritySettings):
    """All that it takes to reach the brokers."""

    bootstrap_servers: Servers = Field(
        default="127.0.0.1:9092",
        description="host:port of one or more brokers, with commas. Two or three are enough: the "
        "rest is learnt from them.",
    )


SECRETS: Final = ("tls_key_password", "sasl_password")
"""Settings whose value nobody may read: no flag, no file of settings, no log."""

"""Which buckets images may be in, where their stores are, and how a store is told who asks.

Frozen values that fit together; `worker.settings` gathers them with all others. The files that
they name are read when a worker starts.
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

_BUCKET: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,221}"
Buckets = Annotated[str, Field(pattern=rf"^({_BUCKET}(,{_BUCKET})*)?$")]
Endpoint = Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]

BUCKET_SECRETS: Final = ("s3_secret_access_key", "gs_service_account_key", "az_sas_token")
"""Settings whose value nobody may read: no flag, no file of settings, no log."""

SCHEMES: Final = {"s3": "s3_buckets", "gs": "gs_buckets", "az": "az_containers"}
"""Schemes of references into buckets, each with the setting that names the buckets."""


class BucketSettings(BaseModel):
    """Buckets by scheme. None is read that is not named here, and no scheme is on by default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    s3_buckets: Buckets = Field(
        default="",
        description="Buckets that `s3:` references may name, with commas. Empty, they are off. A "
        "bucket of images alone: any post can have any of its objects read.",
    )
    s3_endpoint: Endpoint | None = Field(
        default=None,
        description="URL of a store that speaks S3: MinIO, OSS, COS, Ceph, R2. Unset, Amazon's of "
        "s3_region.",
    )
    s3_region: str = Field(
        default="us-east-1",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="Region that requests are signed for; where the buckets are. Stores that have "
        "none take the default.",
    )
    s3_addressing: Literal["auto", "virtual-hosted", "path"] = Field(
        default="auto",
        description="virtual-hosted: the bucket is a part of the host's name, as Amazon, OSS and "
        "COS want it; path: of the path, as MinIO does. auto: path where s3_endpoint is set.",
    )
    s3_access_key_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Key that may read the buckets' objects, and nothing else. Unset, requests "
        "are not signed: only public buckets are read then.",
    )
    s3_secret_access_key: SecretStr | None = Field(
        default=None,
        description="Secret of that key. Never a flag and never in tuwen.toml: give the variable "
        "or, better, s3_secret_access_key_file.",
    )
    s3_secret_access_key_file: Path | None = Field(
        default=None, description="File whose one line is the secret. Read when a worker starts."
    )
    gs_buckets: Buckets = Field(
        default="",
        description="Buckets of Google Cloud Storage that `gs:` references may name, with commas. "
        "Empty, they are off. Buckets of images alone.",
    )
    gs_endpoint: Endpoint | None = Field(
        default=None, description="URL of another store that speaks as Google's does."
    )
    gs_service_account_key: SecretStr | None = Field(
        default=None,
        description="JSON of a service account's key that may read objects. Never a flag and never "
        "in tuwen.toml. Unset, only public buckets are read.",
    )
    gs_service_account_key_file: Path | None = Field(
        default=None, description="File of that JSON, as Google gives it."
    )
    az_containers: Buckets = Field(
        default="",
        description="Containers of Azure's Blob Storage that `az:` references may name, with "
        "commas. Empty, they are off. Containers of images alone.",
    )
    az_account: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Storage account that the containers are of.",
    )
    az_endpoint: Endpoint | None = Field(
        default=None,
        description="URL of the account where it is not https://ACCOUNT.blob.core.windows.net: in "
        "China https://ACCOUNT.blob.core.chinacloudapi.cn.",
    )
    az_sas_token: SecretStr | None = Field(
        default=None,
        description="Shared access signature for reading (sp=r) the containers. Never a flag and "
        "never in tuwen.toml. Unset, only public containers are read.",
    )
    az_sas_token_file: Path | None = Field(
        default=None, description="File whose one line is the shared access signature."
    )
    bucket_allow_http: bool = Field(
        default=False,
        description="Allow endpoints by http:, which show images and signatures to the network. "
        "For a store on this machine.",
    )

    @field_validator("s3_access_key_id", "s3_secret_access_key", "az_sas_token")
    @classmethod
    def _one_line_each(cls, given: Any) -> Any:
        return one_line(given)

    @field_serializer(*BUCKET_SECRETS, when_used="json-unless-none")
    def _hidden_too(self, secret: SecretStr, info: FieldSerializationInfo) -> str:
        return written_down(secret, info)

    @model_validator(mode="after")
    def _one_source_of_each_bucket_secret(self) -> Self:
        demand_one_source_each(self, BUCKET_SECRETS)
        return self

    @model_validator(mode="after")
    def _settings_of_a_store_belong_together(self) -> Self:
        """What has no effect was meant to have one."""
        for scheme, buckets in SCHEMES.items():
            idle = [name for name in _given(self) if name.startswith(f"{scheme}_")]
            if idle and not getattr(self, buckets):
                raise ValueError(f"{idle[0]} is set, and {buckets} names none: set both")
        secret = self.s3_secret_access_key or self.s3_secret_access_key_file
        if (self.s3_access_key_id is None) != (secret is None):
            raise ValueError(
                "s3_access_key_id and its secret belong together: set s3_access_key_id and "
                "s3_secret_access_key_file, or neither"
            )
        if self.az_containers and self.az_account is None and self.az_endpoint is None:
            raise ValueError("az_containers needs az_account: the storage account that they are of")
        return self


def _given(settings: BucketSettings) -> list[str]:
    """The settings of buckets that are not as they are by default, in their order."""
    fields = BucketSettings.model_fields
    return [name for name in fields if getattr(settings, name) != fields[name].default]

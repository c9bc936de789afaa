"""How objects of buckets are asked for: whose signature, for which host, and what is not read."""

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pydantic import SecretStr
from yarl import URL

from worker.images.object_stores import bucket_rules
from worker.images.sources import BadRules
from worker.settings import WorkerSettings

SECRET = "open-sesame-8261"
ODD = "图/片 .jpg?acl#%2e%2e%2Fb+&~'()*!\\`=:@$,;"
S3 = {
    "s3_buckets": "photos",
    "s3_access_key_id": "reader",
    "s3_secret_access_key": SecretStr(SECRET),
}


@pytest.fixture(scope="module")
def account() -> tuple[rsa.RSAPrivateKey, str]:
    """A service account's key, and its JSON; the rest of it is somebody's who wants more."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    given = {
        "client_email": "reader@photos.example",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "gcs_base_url": "http://elsewhere.example",
        "disable_oauth": True,
        "token_uri": "http://elsewhere.example",
    }
    return key, json.dumps(given)


def asked(scheme: str, reference: str, **settings: object) -> URL:
    """What is asked for a reference."""
    rules = bucket_rules(WorkerSettings.model_validate(settings))[scheme]
    target = rules.target(reference)
    assert isinstance(target, URL)
    return rules.signed(target)


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        ({}, "https://photos.s3.us-east-1.amazonaws.com/"),
        ({"s3_region": "cn-north-1"}, "https://photos.s3.cn-north-1.amazonaws.com.cn/"),
        ({"s3_addressing": "path"}, "https://s3.us-east-1.amazonaws.com/photos/"),
        ({"s3_endpoint": "https://minio.example:9000/"}, "https://minio.example:9000/photos/"),
        (
            {"s3_endpoint": "https://oss.example", "s3_addressing": "virtual-hosted"},
            "https://photos.oss.example/",
        ),
    ],
)
def test_an_object_of_s3_is_asked_for_where_its_store_wants_it(
    settings: dict[str, object], root: str
) -> None:
    """Signed and unsigned alike."""
    url = asked("s3", "s3://photos/a.jpg", **S3, **settings)
    assert str(url.with_query(None)) == f"{root}a.jpg"
    assert url.query["X-Amz-Credential"].startswith("reader/")
    public = asked("s3", "s3://photos/a.jpg", s3_buckets="photos", **settings)
    assert str(public) == f"{root}a.jpg"


def test_a_bucket_with_dots_is_no_part_of_amazon_s_host() -> None:
    """The certificate would not fit."""
    url = asked("s3", "s3://my.photos/a.jpg", **S3 | {"s3_buckets": "my.photos"})
    assert str(url.with_query(None)) == "https://s3.us-east-1.amazonaws.com/my.photos/a.jpg"


def test_nothing_of_the_environment_speaks_for_the_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No key, session, endpoint or profile of whoever started it; and it is left as it was."""
    (tmp_path / ".config" / "gcloud").mkdir(parents=True)
    (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").write_text("no")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SESSION_TOKEN": "of-somebody",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_ENDPOINT_URL": "http://elsewhere.example",
        "AWS_PROXY_URL": "http://elsewhere.example",
        "GOOGLE_SKIP_SIGNATURE": "true",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    url = asked("s3", "s3://photos/a.jpg", **S3)
    assert "X-Amz-Security-Token" not in url.query
    assert url.query["X-Amz-Credential"].startswith("reader/")
    assert url.host == "photos.s3.us-east-1.amazonaws.com"
    assert dict(os.environ) == before


@pytest.mark.parametrize("key", ["a.jpg", ODD])
def test_google_s_signature_is_of_the_very_url_that_is_asked_for(
    account: tuple[rsa.RSAPrivateKey, str], key: str
) -> None:
    """As Google checks it (V4 signing); nothing of the key's JSON but the account is believed."""
    private, given = account
    url = asked("gs", f"gs://photos/{key}", gs_buckets="photos", gs_service_account_key=given)
    assert (url.scheme, url.raw_host) == ("https", "storage.googleapis.com")
    query, _, signature = url.raw_query_string.partition("&X-Goog-Signature=")
    request = f"GET\n{url.raw_path}\n{query}\nhost:{url.raw_host}\n\nhost\nUNSIGNED-PAYLOAD"
    told = parse_qs(query)
    algorithm, credential, date = (
        told[f"X-Goog-{name}"][0] for name in ("Algorithm", "Credential", "Date")
    )
    scope = credential.removeprefix("reader@photos.example/")
    digest = hashlib.sha256(request.encode()).hexdigest()
    signed = f"{algorithm}\n{date}\n{scope}\n{digest}"
    private.public_key().verify(
        bytes.fromhex(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert told["X-Goog-Expires"] == ["900"]


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        ({"az_account": "album"}, "https://album.blob.core.windows.net/photos/"),
        (
            {"az_endpoint": "https://album.blob.core.chinacloudapi.cn"},
            "https://album.blob.core.chinacloudapi.cn/photos/",
        ),
    ],
)
def test_an_object_of_azure_is_asked_for_with_the_signature_that_was_given(
    settings: dict[str, object], root: str
) -> None:
    """As it was given, with or without its question mark."""
    for token in ("sp=r&sig=a%2Bb%3D", "?sp=r&sig=a%2Bb%3D"):
        given = {"az_containers": "photos", "az_sas_token": token, **settings}
        assert str(asked("az", "az://photos/a b.jpg", **given)) == (
            f"{root}a%20b.jpg?sp=r&sig=a%2Bb%3D"
        )


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    """One line; the end of it is none of it."""
    (tmp_path / "secret").write_text("sig=of-the-file\n")
    given = {"az_containers": "photos", "az_account": "album"}
    url = asked("az", "az://photos/a", **given, az_sas_token_file=tmp_path / "secret")
    assert url.query["sig"] == "of-the-file"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (f"{SECRET}\nmore\n".encode(), "holds more than one line"),
        (b"\xff", "is no text in UTF-8"),
        (b"x" * 70_000, "is larger than"),
    ],
)
def test_a_secret_s_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """By setting and path, without a word of what it holds."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    settings = S3 | {"s3_secret_access_key": None, "s3_secret_access_key_file": path}
    with pytest.raises(BadRules, match=rf"^s3_secret_access_key_file \(.*\) {said}") as refused:
        bucket_rules(WorkerSettings.model_validate(settings))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (S3 | {"s3_endpoint": "http://minio.example"}, "s3_endpoint: .* bucket_allow_http"),
        (S3 | {"s3_endpoint": "https://minio.example/a/../b"}, "s3_endpoint: .* is no URL"),
        (S3 | {"s3_endpoint": "https://Minio.example"}, "s3_endpoint: .* is no URL as it must"),
        (S3 | {"s3_buckets": "a..b", "s3_addressing": "virtual-hosted"}, "s3_buckets: a..b cannot"),
        ({"gs_buckets": "photos", "gs_service_account_key": SECRET}, "gs_service_account_key: it"),
        ({"gs_buckets": "photos", "gs_service_account_key": "[]"}, "gs_service_account_key: it"),
        (
            {
                "gs_buckets": "photos",
                "gs_service_account_key": json.dumps(
                    {"client_email": "a", "private_key": SECRET, "private_key_id": "1"}
                ),
            },
            "private_key cannot be read",
        ),
        *(
            (
                {"az_containers": "photos", "az_account": "album", "az_sas_token": token},
                "az_sas_token: it is no shared access signature",
            )
            for token in (SECRET, f"sig={SECRET}#a", f"sig={SECRET} a", f"sig={SECRET}图")
        ),
    ],
)
def test_stores_that_cannot_be_asked_so_refuse_by_name(
    settings: dict[str, object], said: str
) -> None:
    """At the start, in one line, and no secret in it or in what led to it."""
    with pytest.raises(BadRules, match=said) as refused:
        bucket_rules(WorkerSettings.model_validate(settings))
    shown = f"{refused.value} {refused.value.__cause__}"
    assert SECRET not in shown
    assert refused.value.__suppress_context__ or refused.value.__context__ is None

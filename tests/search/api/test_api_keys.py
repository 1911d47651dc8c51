"""Keys: their files, their hashes, and what a service is allowed to be started with."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from search.api.keys import Key, Keys, add_key, digest_of, generate, read_keys
from search.api.settings import ApiSettings, is_loopback

READ = Key(digest=hashlib.sha256(b"reading").hexdigest(), scope="read", name="page")
WRITE = Key(digest=hashlib.sha256(b"writing").hexdigest(), scope="write", name="a b c")
KEYS = Keys(keys=(READ, WRITE))


def test_a_key_is_known_by_its_hash() -> None:
    assert KEYS.find(b"reading") is READ
    assert KEYS.find(b"writing") is WRITE
    assert (READ.writes, WRITE.writes) == (False, True)
    assert READ.fingerprint == hashlib.sha256(b"reading").hexdigest()[:8]
    for wrong in (b"", b"Reading", b"reading ", b"writin", READ.digest.encode()):
        assert KEYS.find(wrong) is None


@given(st.binary())
def test_no_other_secret_is_known(secret: bytes) -> None:
    assert (KEYS.find(secret) is not None) == (secret in (b"reading", b"writing"))


def test_a_new_key_is_long_and_new() -> None:
    keys = {generate() for _ in range(50)}
    assert len(keys) == 50
    # 256 bits in base64, and the prefix.
    assert {len(key) for key in keys} == {len("cloze_") + 43}
    assert all(key.startswith("cloze_") for key in keys)


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{READ.line()}\n  {WRITE.line()}  \n", encoding="utf-8")
    assert read_keys(file) == KEYS
    assert "reading" not in file.read_text()


def test_keys_of_the_environment_are_added(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(READ.line())
    keys = read_keys(file, f" write:{'1' * 20}\tread:two:{'3' * 16} ")
    assert keys is not None
    assert [(key.scope, key.digest) for key in keys.keys[1:]] == [
        ("write", digest_of("1" * 20)),
        ("read", digest_of("two:" + "3" * 16)),
    ]


def test_a_key_of_the_environment_is_not_to_be_guessed() -> None:
    with pytest.raises(ClozeError, match=r"entry 1 .* 19 characters.* 20 or more") as told:
        read_keys(None, "read:" + "SECRET" * 3 + "S")
    assert "SECRET" not in str(told.value)


def test_without_keys_there_are_none() -> None:
    assert read_keys(None) is None
    assert read_keys(None, "  ") is None


@pytest.mark.parametrize(
    "line",
    [
        "read sha256:abc name", "admin sha256:" + "a" * 64 + " name", "read " + "a" * 64 + " name",
        "read sha256:" + "a" * 64, "read sha256:" + "A" * 64 + " name", "read cloze_SECRET name",
        "read md5:" + "a" * 64 + " name",
    ],
)  # fmt: skip
def test_a_line_that_is_no_key_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{READ.line()}\n{line}\n")
    with pytest.raises(
        ClozeError, match=r"keys:2 is no key; a line is: read\|write sha256"
    ) as told:
        read_keys(file)
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize("entry", ["SECRET", "admin:SECRET", "read:", ":SECRET"])
def test_an_entry_of_the_environment_that_is_no_key(entry: str) -> None:
    with pytest.raises(ClozeError, match="entry 2 of CLOZE_API_KEYS is no key") as told:
        read_keys(None, f"read:{'good' * 5} {entry}")
    assert "SECRET" not in str(told.value)


def test_a_key_may_be_there_once(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="are the same"):
        read_keys(None, f"read:{'one' * 7} write:{'one' * 7}")


@pytest.mark.parametrize("before", ["", "# ours", "# ours\n", READ.line(), f"{READ.line()}\n\n"])
def test_a_key_gets_a_line_of_its_own(tmp_path: Path, before: str) -> None:
    file = tmp_path / "keys"
    file.write_text(before)
    secret = add_key(file, "write", " über b ")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[:-1] == before.splitlines()
    keys = read_keys(file)
    assert keys is not None
    assert keys.keys[-1] == Key(digest=digest_of(secret), scope="write", name="über b")


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "read", "a")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", " ", "a\nb", "sha256:" + "a" * 64, "my sha256:x"])
def test_a_name_can_stand_in_a_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClozeError, match="--name is"):
        add_key(tmp_path / "keys", "read", name)
    assert not (tmp_path / "keys").exists()


def test_a_file_that_is_not_there_or_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"No such file.*cloze key add"):
        read_keys(tmp_path / "nothing")
    (tmp_path / "empty").write_text("# none\n")
    with pytest.raises(ClozeError, match="has no key"):
        read_keys(tmp_path / "empty")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ClozeError, match="not UTF-8"):
        read_keys(tmp_path / "bytes")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("LOCALHOST", True),
        ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("example.org", False), ("", False), ("localhost.example.org", False),
    ],
)  # fmt: skip
def test_other_machines_need_a_key(host: str, local: bool) -> None:
    assert is_loopback(host) == local
    ApiSettings(host=host, keys=KEYS).check()
    ApiSettings(host=host, insecure=True).check()
    if local:
        ApiSettings(host=host).check()
    else:
        with pytest.raises(ClozeError, match=r"can be reached.*cloze key add.*--insecure"):
            ApiSettings(host=host).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ApiSettings(port=65_536), "--port is 65536"),
        (ApiSettings(port=-1), "--port is -1"),
        (ApiSettings(rate=0), "--rate is 0"),
        (ApiSettings(rate=float("nan")), "--rate is nan"),
        (ApiSettings(rate=float("inf")), "--rate is inf"),
        (ApiSettings(cors=("example.org",)), "--cors example.org is no origin"),
        (ApiSettings(cors=("https://example.org/",)), "is no origin"),
        (ApiSettings(cors=("ftp://example.org",)), "is no origin"),
        (ApiSettings(cors=("https://",)), "is no origin"),
    ],
)
def test_settings_that_make_no_sense(settings: ApiSettings, message: str) -> None:
    with pytest.raises(ClozeError, match=message):
        settings.check()


def test_origins_that_are_ones() -> None:
    ApiSettings(
        keys=KEYS, cors=("*", "http://localhost:3000", "https://example.org", "http://[::1]:8")
    ).check()

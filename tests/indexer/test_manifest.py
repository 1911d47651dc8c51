"""The manifest: what is sealed comes back, and nothing else opens."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from indexer.errors import ClozeError, DamagedIndexError
from indexer.manifest import (
    FORMAT,
    EncoderSeal,
    Manifest,
    check_encoder,
    check_same,
    read_manifest,
    write_manifest,
)

SEAL = EncoderSeal(
    name="some/model", content_hash="a" * 64, dimension=8, pooling="mean", normalize=True,
    query_prompt="", document_prompt="d: ", max_tokens=64, precision="fp32",
)  # fmt: skip
MANIFEST = Manifest(
    encoder=SEAL, passage_tokens=64, passage_overlap=8, language="english",
    analyzer={"version": 1}, title_weight=1,
)  # fmt: skip


@pytest.mark.parametrize("manifest", [MANIFEST, replace(MANIFEST, encoder=None, data="data-1")])
def test_what_is_written_is_read(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_folder_without_one_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"has no manifest\.json; make one with: cloze index"):
        read_manifest(tmp_path)
    with pytest.raises(ClozeError, match=r"nowhere is not an index: it does not exist"):
        read_manifest(tmp_path / "nowhere")


def test_every_changed_value_is_damage(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    content = json.loads((tmp_path / "manifest.json").read_text())
    for name, value in content.items():
        if name == "format":
            continue
        changed = content | {name: f"{value}x" if isinstance(value, str) else [value]}
        (tmp_path / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(DamagedIndexError, match=r"is damaged: its checksum is"):
            read_manifest(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"checksum": "x"}', '{"checksum": "", "format": []}']
)
def test_what_is_no_manifest_is_damage(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DamagedIndexError, match=r"manifest\.json is damaged.* index the corpus"):
        read_manifest(tmp_path)


def test_every_cut_is_damage(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    content = (tmp_path / "manifest.json").read_bytes()
    for length in range(0, len(content) - 2, 7):
        (tmp_path / "manifest.json").write_bytes(content[:length])
        with pytest.raises(DamagedIndexError):
            read_manifest(tmp_path)


def test_a_newer_format_is_told_from_damage(tmp_path: Path) -> None:
    newer = asdict(MANIFEST) | {"format": 99, "what is new": 1, "checksum": "of its own"}
    (tmp_path / "manifest.json").write_text(json.dumps(newer))
    with pytest.raises(
        ClozeError, match=rf"has format 99, this cloze reads up to {FORMAT}; upgrade"
    ) as error:
        read_manifest(tmp_path)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("name", sorted(set(asdict(SEAL)) - {"name"}))
def test_another_encoder_is_named_with_its_difference(tmp_path: Path, name: str) -> None:
    have = getattr(SEAL, name)
    value = (not have) if isinstance(have, bool) else have + (1 if isinstance(have, int) else "?")
    other = replace(SEAL, name="other/model", **{name: value})  # type: ignore[arg-type]
    check_encoder(tmp_path, SEAL, replace(SEAL, name="same/elsewhere"))
    with pytest.raises(ClozeError) as error:
        check_encoder(tmp_path, SEAL, other)
    line = str(error.value)
    assert f"cloze reindex {tmp_path} --model other/model" in line
    if name in ("precision", "calibration"):
        assert f"in {SEAL.form}, " in line and f"in {other.form};" in line
    else:
        assert name.replace("_", " ") in line and "some/model" in line


def test_a_lexical_index_has_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"--lexical-only, asked for some/model.* cloze reindex"):
        check_encoder(tmp_path, None, SEAL)


def test_settings_that_differ_are_both_named(tmp_path: Path) -> None:
    check_same(tmp_path, MANIFEST, {"language": None, "passage_tokens": 64})
    with pytest.raises(ClozeError, match=r"built with passage tokens 64, asked for 32"):
        check_same(tmp_path, MANIFEST, {"language": None, "passage_tokens": 32})

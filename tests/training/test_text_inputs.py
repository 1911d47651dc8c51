import json
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from training.text import Reading, Texts

READING = Reading()


def content_hash(*names: object, reading: Reading = READING) -> str:
    return Texts([str(name) for name in names], reading).content_hash()


def test_title_and_text_are_lines_and_no_id_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [{"title": "Fish", "text": "They swim."}, {"text": "Rain."}, {"id": None, "text": ""}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(Texts([str(path)], READING)) == ["Fish\nThey swim.", "Rain.", ""]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"head": "H", "content": "C"}\n'), ("a.csv", "head,content\nH,C\n")],
)
def test_fields_may_be_named(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert list(Texts([str(path)], Reading(title="head", text="content"))) == ["H\nC"]
    with pytest.raises(ClozeError, match=r"no text field: .*; name the field with --text"):
        list(Texts([str(path)], READING))


def test_the_hash_is_of_contents_formats_and_fields(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("one")
    second.write_text("two")
    same = tmp_path / "else" / "c.txt"
    same.parent.mkdir()
    same.write_text("one")
    other = tmp_path / "a.md"
    other.write_text("one")
    assert content_hash(first) == content_hash(same)
    different = [
        content_hash(first),
        content_hash(second),
        content_hash(other),
        content_hash(first, second),
        content_hash(second, first),
        content_hash(first, reading=Reading(text="body")),
    ]
    assert len(set(different)) == len(different)


def test_the_share_read_grows_to_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("A line of text.\n" * 10_000)
    texts = Texts([str(path)], READING)
    shares = [texts.position() for _ in texts] + [texts.position()]
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert (len(known), known[-1]) == (len(shares), 1.0)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], "no text is named"),
        (["-"], "standard input can be only once"),
        (["nowhere.txt"], "nowhere.txt: no such file or folder"),
    ],
)
def test_inputs_that_are_none_are_refused(names: list[str], line: str) -> None:
    with pytest.raises(ClozeError, match=line):
        Texts(names, READING)


def test_messages_name_the_first_inputs(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.txt") for number in range(5)]
    for name in names:
        Path(name).write_text("x")
    assert Texts(names, READING).describe() == f"{', '.join(names[:3])} and 2 more"

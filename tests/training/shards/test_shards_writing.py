import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from indexer.errors import ClozeError
from indexer.lock import writer_lock
from training.shards import Shards
from training.shards.writing import write_shards

ROOT = Path(__file__).resolve().parents[3]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ""}


def write(texts: Path, model: Path, home: Path) -> Shards:
    return write_shards([str(texts)], model, home=home, shard_tokens=1000)


@pytest.fixture(scope="module")
def unbroken(
    tokenizer_folder: Path, corpus_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write(corpus_file, tokenizer_folder, tmp_path_factory.mktemp("unbroken")).folder


PROGRAM = """
import os, signal, sys
from pathlib import Path
from training.shards.writing import write_shards

def progress(tokens, share):
    if tokens >= 2500:
        os.kill(os.getpid(), signal.SIGKILL)

write_shards([sys.argv[1]], Path(sys.argv[2]), home=Path(sys.argv[3]), shard_tokens=1000,
             progress=progress)
"""


def test_a_killed_run_goes_on_where_its_last_shard_ended(
    tokenizer_folder: Path, corpus_file: Path, unbroken: Path, tmp_path: Path
) -> None:
    arguments = [corpus_file, tokenizer_folder, tmp_path]
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    [folder] = tmp_path.iterdir()
    finished = sorted(folder.glob("shard-*.json"))
    assert len(finished) == 2
    inodes = {path: path.stat().st_ino for path in folder.glob("*-0000[01].npy")}
    assert write(corpus_file, tokenizer_folder, tmp_path).folder == folder
    assert contents(folder) == contents(unbroken)
    assert {path: path.stat().st_ino for path in inodes} == inodes


def test_a_shard_damaged_before_the_end_is_written_again(
    tokenizer_folder: Path, corpus_file: Path, unbroken: Path, tmp_path: Path
) -> None:
    folder = write(corpus_file, tokenizer_folder, tmp_path).folder
    (folder / "shards.json").unlink()
    (folder / "tokens-00001.npy").write_bytes(b"half")
    (folder / "shard-00002.json").write_text('{"read": 3')
    write(corpus_file, tokenizer_folder, tmp_path)
    assert contents(folder) == contents(unbroken)


def test_finished_shards_are_found_and_not_written_again(
    tokenizer_folder: Path, corpus_file: Path, tmp_path: Path
) -> None:
    first = write(corpus_file, tokenizer_folder, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = write_shards(
        [str(corpus_file)],
        tokenizer_folder,
        home=tmp_path,
        shard_tokens=1000,
        progress=lambda tokens, share: pytest.fail("tokenised again"),
    )
    assert again.folder == first.folder
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == times


def test_the_folder_is_named_by_content_tokenizer_and_share(
    tokenizer_folder: Path, corpus_file: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied.jsonl"
    copied.write_bytes(corpus_file.read_bytes())
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(corpus_file.read_bytes().replace(b"bear", b"bird", 1))
    other = tmp_path / "tokenizer"
    other.mkdir()
    described = (tokenizer_folder / "tokenizer.json").read_text()
    lower = re.compile(r'"lowercase": ?true')
    assert lower.search(described)
    (other / "tokenizer.json").write_text(lower.sub('"lowercase": false', described))
    home = tmp_path / "home"
    first = write(corpus_file, tokenizer_folder, home)
    assert write(copied, tokenizer_folder, home).folder == first.folder
    others = {
        write(changed, tokenizer_folder, home).folder,
        write(corpus_file, other, home).folder,
        write_shards([str(corpus_file)] * 2, tokenizer_folder, home=home).folder,
        write_shards([str(corpus_file)], tokenizer_folder, home=home, held_out=0.5).folder,
    }
    assert len(others | {first.folder}) == 5


def test_formats_hold_the_same_text(tokenizer_folder: Path, tmp_path: Path) -> None:
    documents = [("The sea", "A big wave. Two ships."), ("", "Rain, snow and wind."), ("Fish", "")]
    lines = [json.dumps({"title": title, "text": text}) for title, text in documents]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write("\n".join(lines))
    rows = [f'{title}\t"{text}"' for title, text in documents]
    (tmp_path / "c.tsv").write_text("\n".join(["title\ttext", *rows]))
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = dict(zip(("title", "text"), map(list, zip(*documents, strict=True)), strict=True))
    parquet.write_table(pyarrow.table(columns), tmp_path / "d.parquet")
    made = [
        write(tmp_path / name, tokenizer_folder, tmp_path / "home")
        for name in ("a.jsonl", "b.jsonl.gz", "c.tsv", "d.parquet")
    ]
    runs = [[each.ids.tolist() for each in shards.runs(100)] for shards in made]
    assert all(each == runs[0] for each in runs)
    assert [(shards.documents, shards.sentences) for shards in made] == [(3, 5)] * 4


def test_a_vocabulary_above_65536_takes_wider_ids(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, **{f"w{number}": number for number in range(1, 70_001)}}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    folder = tmp_path / "wide"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    text = tmp_path / "text.jsonl"
    text.write_text("".join(json.dumps({"text": f"w{70_000 - n} w1"}) + "\n" for n in range(9)))
    shards = write(text, folder, tmp_path / "home")
    ids = [run.ids.tolist() for held in (False, True) for run in shards.runs(9, held_out=held)]
    assert sorted(ids, reverse=True) == [[70_000 - number, 1] for number in range(9)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "there is no text in .*text.jsonl; give files"),
        ('{"text": " "}\n', "there is no text in .*text.jsonl; give files"),
        ('{"text": "One fish."}\n', "the text is one document, and at least one to train on"),
        ('{"text": "One fish."}\n{"text": "One fish."}\n', "the text is one document"),
        ('{"text": "One fish."}\n\xff\n', "text.jsonl:2: "),
    ],
)
def test_text_that_can_not_be_trained_on_is_one_line(
    tokenizer_folder: Path, tmp_path: Path, content: str, line: str
) -> None:
    text = tmp_path / "text.jsonl"
    text.write_bytes(content.encode("latin-1"))
    with pytest.raises(ClozeError, match=line) as raised:
        write(text, tokenizer_folder, tmp_path / "home")
    assert "\n" not in str(raised.value)


def test_one_of_two_documents_is_held_out(tokenizer_folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "One fish."}\n{"text": "Two birds."}\n')
    shards = write_shards([str(text)], tokenizer_folder, home=tmp_path, held_out=1e-9)
    assert (len(shards.runs(9)), len(shards.runs(9, held_out=True))) == (1, 1)
    shards = write_shards([str(text)], tokenizer_folder, home=tmp_path, held_out=1 - 1e-9)
    assert (len(shards.runs(9)), len(shards.runs(9, held_out=True))) == (1, 1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_is_none_is_refused(
    tokenizer_folder: Path, tmp_path: Path, share: float
) -> None:
    with pytest.raises(ClozeError, match="the share held out is"):
        write_shards(["x"], tokenizer_folder, home=tmp_path, held_out=share)


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_folder_that_is_no_tokenizer_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ClozeError, match=r"is no tokenizer: .*tokenizer\.json") as raised:
        write_shards(["x.jsonl"], tmp_path, home=tmp_path)
    assert "\n" not in str(raised.value)


def test_text_that_changes_while_it_is_read_is_given_up(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "One fish."}\n{"text": "Two birds."}\n')

    def append(tokens: int, share: float | None) -> None:
        with text.open("a") as file:
            file.write('{"text": "Rain."}\n')

    with pytest.raises(ClozeError, match="changed while it was read"):
        write_shards([str(text)], tokenizer_folder, home=tmp_path / "home", progress=append)
    assert not list((tmp_path / "home").iterdir())


def test_two_writers_are_not_let_in(
    tokenizer_folder: Path, corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(corpus_file, tokenizer_folder, tmp_path).folder
    (folder / "shards.json").unlink()
    monkeypatch.setattr(writer_lock.__wrapped__, "__kwdefaults__", {"wait": 0.0})  # type: ignore[attr-defined]
    with writer_lock(folder), pytest.raises(ClozeError, match=f"by process {os.getpid()}"):
        write(corpus_file, tokenizer_folder, tmp_path)

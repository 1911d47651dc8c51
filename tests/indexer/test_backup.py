"""Backups: taken under writers, whole or not there, and restored only when nothing is amiss."""

import errno
import fcntl
import hashlib
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer import generations, restoration
from indexer.archive import HEAD, MEMBER, SUMS, Head
from indexer.backup import BackingUp
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.index import Index
from indexer.lock import writer_lock
from indexer.manifest import read_manifest, write_manifest
from indexer.progress import Step
from indexer.restoration import Restoration
from indexer.verification import damage
from tests.faults import scenario
from tests.faults.contents import stored
from tests.faults.processes import Driver

ROOT = Path(__file__).resolve().parents[2]
Cloze = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lexical-only index of a few documents, one of them deleted."""
    folder = tmp_path_factory.mktemp("small") / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        texts = [f"fox number {n} 搜索" for n in range(20)]
        index.add(
            Document(id=f"d{n}", text=text, metadata={"n": n}) for n, text in enumerate(texts)
        )
        index.delete(["d7"])
    return folder


@pytest.fixture
def backed_up(small: Path, tmp_path: Path) -> Path:
    file = tmp_path / "small.tar"
    BackingUp(small, file).run()
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an index but its lock, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_backup_under_a_writer_is_one_commit(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    driver = Driver(folder, (tiny_model, tiny_model), "W0")
    documents = scenario.writer(0)
    sizes = set()
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(driver.finish)
        while not (folder / "manifest.json").exists() or not (folder / "store.sqlite").exists():
            assert not running.done(), running.result()
        over = False
        while not over:
            over = running.done()  # one more after the writer's end
            size = _restored_commit(folder, tmp_path / "backup.tar", tmp_path / "back", documents)
            sizes.add(size)
        running.result()
    assert len(documents) in sizes
    assert len(sizes) > 2  # else it was never taken while the writer was at work


def _restored_commit(folder: Path, file: Path, back: Path, documents: list[Document]) -> int:
    """Back up and restore; what comes back are the first batches, whole and sound."""
    made = BackingUp(folder, file).run()
    assert Restoration(file, back).run() == made
    with Index.open(back) as index:
        found = stored(index)
        assert index.sequence == made.sequence
        assert damage(index) == []
    shutil.rmtree(back)
    assert len(found) == made.documents
    assert len(found) % scenario.BATCH == 0
    assert found == {each.id: each for each in documents[: len(found)]}
    return len(found)


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz", "all.tgz"])
def test_what_is_restored_is_what_was_there(small: Path, tmp_path: Path, name: str) -> None:
    file, back = tmp_path / name, tmp_path / "deep" / "back"
    with Index.open(small) as reader, reader.reading():
        made = BackingUp(small, file).run()
    assert (made.documents, made.sequence) == (19, 2)
    with file.open("rb") as opened:
        assert (opened.read(2) == b"\x1f\x8b") == (name != "all.tar")
    assert Restoration(file, back).run() == made
    assert names(tmp_path) == {name, "deep"}
    with Index.open(small) as index, Index.open(back) as again:
        assert stored(again) == stored(index)
        assert damage(again) == []
        assert again.notices == []
        again.add([Document(id="new", text="it can be written")])
        assert len(stored(again)) == 20


def test_the_data_of_a_reindexed_index(small: Path, tmp_path: Path) -> None:
    """They lie in a folder of their own; what an unfinished run has built beside is left out."""
    folder, back = tmp_path / "index", tmp_path / "back"
    shutil.copytree(small, folder)
    (folder / "data-0a-64").mkdir()
    for name in ("store.sqlite", "lexical"):
        (folder / name).rename(folder / "data-0a-64" / name)
    (folder / "data-unfinished").mkdir()
    (folder / "data-unfinished" / "store.sqlite").write_bytes(b"half")
    write_manifest(folder, replace(read_manifest(folder), data="data-0a-64"))
    BackingUp(folder, tmp_path / "x.tar").run()
    Restoration(tmp_path / "x.tar", back).run()
    assert names(back) == {"lock", "manifest.json", "data-0a-64"}
    with Index.open(small) as index, Index.open(back) as again:
        assert stored(again) == stored(index)
        assert damage(again) == []


def test_tar_and_sha256sum_read_it_without_us(backed_up: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    subprocess.run(["tar", "xf", str(backed_up), "-C", str(place)], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=place, check=True)
    head = json.loads((place / HEAD).read_bytes())
    assert head["documents"] == 19
    assert head["bytes"] == sum(
        len(content) for name, content in contents(place).items() if name not in (HEAD, SUMS)
    )


def test_the_lock_is_free_while_bytes_are_copied(small: Path, tmp_path: Path) -> None:
    steps: list[Step] = []

    def progress(step: Step) -> None:
        with writer_lock(small, wait=0):
            steps.append(step)

    work = BackingUp(small, tmp_path / "x.tar")
    work.run(progress)
    assert {step.phase for step in steps} == {"store", "lexical", "seal"}
    assert work.position() == 1.0


def test_bit_flips_and_truncations_are_found_or_harmless(
    small: Path, backed_up: Path, tmp_path: Path
) -> None:
    chance = random.Random(0)
    whole = backed_up.read_bytes()
    Restoration(backed_up, tmp_path / "whole").run()
    expected = contents(tmp_path / "whole")
    broken, back = tmp_path / "broken.tar", tmp_path / "back"
    found = 0
    for turn in range(90):
        content = bytearray(whole)
        if turn % 3:
            # A third in headers, which are few bytes and decide most.
            place = chance.randrange(512) if turn % 3 == 1 else chance.randrange(len(content))
            content[place] ^= 1 << chance.randrange(8)
        else:
            del content[chance.randrange(len(content)) :]
        broken.write_bytes(content)
        try:
            Restoration(broken, back).run()
        except ClozeError as error:
            found += 1
            assert "\n" not in str(error)
            assert str(broken) in str(error)
        else:
            assert contents(back) == expected, turn
            shutil.rmtree(back)
        assert names(tmp_path) == {"broken.tar", "small.tar", "whole"}, turn
    assert found > 65


@pytest.mark.parametrize("suffix", ["tar", "tgz"])
def test_damage_is_told_by_what_it_is(small: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"small.{suffix}"
    BackingUp(small, file).run()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedIndexError, match=r"is damaged: .*restore another copy"):
        Restoration(file, tmp_path / "back").run()
    file.write_bytes(b"")
    with pytest.raises(ClozeError, match="is no backup"):
        Restoration(file, tmp_path / "back").run()
    file.write_bytes(b"\x1f\x8bno gzip at all")
    with pytest.raises(ClozeError, match="is no backup"):
        Restoration(file, tmp_path / "back").run()
    assert names(tmp_path) == {file.name}


def repacked(
    backed_up: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]
) -> None:
    """Write a backup anew, its members changed and its checksums made for what they are then."""
    with tarfile.open(backed_up) as archive:
        members = []
        for member in archive:
            source = archive.extractfile(member)
            assert source
            members.append((member, source.read()))
    change(members)
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {member.name}\n"
        for member, content in members
        if member.name != SUMS
    )
    with tarfile.open(backed_up, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            data = sums.encode() if member.name == SUMS else content
            member.size = len(data) if member.type == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "lexical/../../evil", "dense/..", "evil.py", "data-x/../../evil",
     "lexical/000001/a/b", "store.sqlite-wal", "lock", "manifest.json", "lexical/000001/a\nb"],
)  # fmt: skip
def test_members_that_are_no_files_of_an_index_are_refused(
    backed_up: Path, tmp_path: Path, name: str
) -> None:
    def add(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members.insert(3, (tarfile.TarInfo(name), b"evil"))

    repacked(backed_up, add)
    with pytest.raises(DamagedIndexError, match="no file of an index"):
        Restoration(backed_up, tmp_path / "back").run()
    assert names(tmp_path) == {"small.tar"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(backed_up: Path, tmp_path: Path, kind: bytes) -> None:
    def add(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        link = tarfile.TarInfo("dense/link")
        link.type, link.linkname = kind, "/etc/passwd"
        members.insert(3, (link, b""))

    repacked(backed_up, add)
    with pytest.raises(DamagedIndexError, match="dense/link"):
        Restoration(backed_up, tmp_path / "back").run()
    assert names(tmp_path) == {"small.tar"}


@pytest.mark.parametrize("gone", ["manifest.json", "store.sqlite", HEAD, SUMS])
def test_a_backup_that_lacks_a_part_is_refused(backed_up: Path, tmp_path: Path, gone: str) -> None:
    def drop(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[:] = [each for each in members if each[0].name != gone]

    repacked(backed_up, drop)
    with pytest.raises(ClozeError, match=gone if gone != SUMS else "list of checksums"):
        Restoration(backed_up, tmp_path / "back").run()
    assert names(tmp_path) == {"small.tar"}


@pytest.mark.parametrize("what", ["backup_format", "index_format"])
def test_a_newer_format_is_refused(backed_up: Path, tmp_path: Path, what: str) -> None:
    def renew(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        head = json.loads(members[0][1]) | {what: 99}
        members[0] = (members[0][0], json.dumps(head).encode())

    repacked(backed_up, renew)
    with pytest.raises(ClozeError, match=r"format 99, this cloze reads up to \d+; upgrade"):
        Restoration(backed_up, tmp_path / "back").run()


def with_head(head: dict[str, Any]) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        content = json.loads(members[0][1]) | head
        members[0] = (members[0][0], json.dumps(content).encode())

    return change


def with_member(member: tarfile.TarInfo, content: bytes) -> Callable[..., None]:
    return lambda members: members.insert(2, (member, content))


def refusal(file: Path, place: Path) -> str:
    """What a restoring says that makes nothing."""
    before = names(place)
    with pytest.raises(ClozeError) as caught:
        Restoration(file, place / "back").run()
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert names(place) == before
    return str(caught.value)


def test_more_than_a_backup_says_it_holds_is_not_written(backed_up: Path, tmp_path: Path) -> None:
    repacked(backed_up, with_member(tarfile.TarInfo("dense/zeros"), bytes(1 << 20)))
    assert "bytes, but it holds more" in refusal(backed_up, tmp_path)
    repacked(backed_up, with_head({"bytes": 1 << 60}))
    with pytest.raises(OSError, match="No space left") as caught:
        Restoration(backed_up, tmp_path / "back").run()
    assert caught.value.filename == str(tmp_path / "back.restoring")
    assert names(tmp_path) == {"small.tar"}


def test_more_files_than_an_index_has_are_not_written(
    backed_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "_MEMBERS", 3)
    assert "more than 3 files" in refusal(backed_up, tmp_path)


def test_a_manifest_that_is_too_large_to_be_one(backed_up: Path, tmp_path: Path) -> None:
    def swell(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        with_head({"bytes": 100 << 20})(members)
        members[1] = (members[1][0], members[1][1] + b" " * (5 << 20))

    repacked(backed_up, swell)
    assert "manifest.json has 5,2" in refusal(backed_up, tmp_path)


def test_headers_that_tarfile_reads_into_memory_are_refused(
    backed_up: Path, tmp_path: Path
) -> None:
    whole = backed_up.read_bytes()
    long = tarfile.TarInfo("dense/" + "x" * 100_000)
    repacked(backed_up, with_member(long, b""))
    assert "no file of an index" in refusal(backed_up, tmp_path)
    commented = tarfile.TarInfo("dense/x")
    commented.pax_headers = {"comment": "x" * 100_000}
    named = tarfile.TarInfo("x" * 200).tobuf(tarfile.GNU_FORMAT)[:1024]
    # The second: a long name for the header of a long name, and so on.
    for headers in (commented.tobuf(tarfile.PAX_FORMAT), named * 2000):
        backed_up.write_bytes(whole[:1024] + headers + whole[1024:])
        assert "is damaged" in refusal(backed_up, tmp_path)


def test_long_names_of_an_index_come_back(backed_up: Path, tmp_path: Path) -> None:
    name = f"data-{'0' * 12}-128-32-1-again/dense/{'f' * 64}.safetensors"
    assert len(name) > 100  # more than a header of its own holds

    def add(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        with_head({"bytes": 1 << 20})(members)
        with_member(tarfile.TarInfo(name), b"vectors")(members)

    repacked(backed_up, add)
    Restoration(backed_up, tmp_path / "back").run()
    assert (tmp_path / "back" / name).read_bytes() == b"vectors"


@pytest.mark.parametrize(
    "head",
    [{"bytes": "x"}, {"bytes": -1}, {"bytes": 1.5}, {"documents": None}, {"sequence": True},
     {"sequence": []}, {"backup_format": "1"}, {"index_format": None}, {"more": 1}],
)  # fmt: skip
def test_a_head_whose_fields_are_none(
    backed_up: Path, tmp_path: Path, head: dict[str, Any]
) -> None:
    repacked(backed_up, with_head(head))
    assert "is damaged" in refusal(backed_up, tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"[" * 100_000, b"\xff", b"{}", b"1" * 5000])
@pytest.mark.parametrize("place", [0, 1])
def test_a_head_or_manifest_that_is_none(
    backed_up: Path, tmp_path: Path, place: int, content: bytes
) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        if place:
            with_head({"bytes": 1 << 20})(members)
        members[place] = (members[place][0], content)

    repacked(backed_up, change)
    assert "is damaged" in refusal(backed_up, tmp_path)


def test_a_manifest_of_fields_that_none_has(backed_up: Path, tmp_path: Path) -> None:
    content = {"format": 2, "encoder": None, "colour": "red"}
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        made = json.dumps(content | {"checksum": checksum}).encode()
        assert members[1][0].name == "manifest.json"
        members[1] = (members[1][0], made)

    repacked(backed_up, change)
    assert "its manifest.json can't be read" in refusal(backed_up, tmp_path)


def test_mistakes_are_one_line_and_leave_all_as_it_is(
    small: Path, backed_up: Path, tmp_path: Path, cloze: Cloze
) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("dear reader")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    for run, said in (
        (BackingUp(small, other).run, "no backup, so it is not replaced"),
        (BackingUp(small, small / "x.tar").run, "name it outside"),
        (BackingUp(small, tmp_path / "x.tar.zst").run, "not .zst"),
        (BackingUp(small, tmp_path / "nowhere" / "x.tar").run, "is not a folder"),
        (BackingUp(full, tmp_path / "x.tar").run, "is not an index"),
        (Restoration(other, tmp_path / "new").run, "is no backup"),
        (Restoration(backed_up, full).run, "there and not empty"),
        (Restoration(backed_up, other).run, "there and not empty"),
    ):
        with pytest.raises(ClozeError, match=said) as caught:
            run()
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    done = cloze("restore", other, tmp_path / "new")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert names(tmp_path) == {"letter.txt", "full", "small.tar"}
    assert other.read_text() == "dear reader"


def test_the_command_line_makes_and_restores(small: Path, tmp_path: Path, cloze: Cloze) -> None:
    file, back = tmp_path / "x.tgz", tmp_path / "back"
    back.mkdir()  # an empty folder will do
    for _ in range(2):  # the second replaces the first
        done = cloze("backup", small, file)
        assert (done.returncode, done.stdout) == (
            0, f"{file}: 19 documents of {small}, as of transaction 2\n",
        )  # fmt: skip
    done = cloze("restore", file, back)
    assert (done.returncode, done.stdout) == (
        0, f"{back}: 19 documents restored, as of transaction 2\n",
    )  # fmt: skip
    assert cloze("verify", back).returncode == 0


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (45_000, 45_000))


def test_a_disk_that_takes_no_more_leaves_no_half_file(
    small: Path, backed_up: Path, tmp_path: Path, cloze: Cloze
) -> None:
    """Files end at 45 kB here, which fails as a full disk does; the index needs more."""
    older = backed_up.read_bytes()
    assert len(older) > 60_000
    for arguments in (("backup", small, backed_up), ("restore", backed_up, tmp_path / "back")):
        done = cloze(*arguments, preexec_fn=_limited)
        assert done.returncode == 1
        assert done.stderr.startswith(f"cloze: {tmp_path}")
        assert done.stderr.count("\n") == 1
    assert names(tmp_path) == {"small.tar"}
    assert backed_up.read_bytes() == older


def test_leftovers_of_killed_runs_are_replaced(
    small: Path, backed_up: Path, tmp_path: Path
) -> None:
    for name in ("small.tar.part", "small.tar.store", "small.tar.store-wal"):
        (tmp_path / name).write_bytes(b"half")
    scratch = tmp_path / "back.restoring"
    (scratch / "dense").mkdir(parents=True)
    (scratch / "dense" / "half").write_bytes(b"half")
    BackingUp(small, backed_up).run()
    Restoration(backed_up, tmp_path / "back").run()
    assert names(tmp_path) == {"small.tar", "back"}
    assert not (tmp_path / "back" / "dense").exists()


def test_two_runs_into_one_place_do_not_mix(small: Path, backed_up: Path, tmp_path: Path) -> None:
    def again(step: Step) -> None:
        with pytest.raises(ClozeError, match="being written by another backup"):
            BackingUp(small, backed_up).run()

    BackingUp(small, backed_up).run(again)

    def restore_again(step: Step) -> None:
        with pytest.raises(ClozeError, match=f"is being written by process {os.getpid()}"):
            Restoration(backed_up, tmp_path / "back").run()

    Restoration(backed_up, tmp_path / "back").run(restore_again)
    with Index.open(tmp_path / "back") as index:
        assert damage(index) == []


def test_a_backup_that_ends_as_another_begins_stays_whole(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has opened the first's scratch file, which then gets the name of the backup."""
    file = tmp_path / "x.tar"
    opened, over = threading.Event(), threading.Event()
    lock = fcntl.flock

    def flock(target: Any, how: int) -> None:  # noqa: ANN401 - a file or its number
        if threading.current_thread() is not threading.main_thread() and not opened.is_set():
            opened.set()
            assert over.wait(60)
        lock(target, how)

    with ThreadPoolExecutor(max_workers=1) as pool:
        seconds: list[Future[Head]] = []

        def begin_another(step: Step) -> None:
            if not seconds:
                monkeypatch.setattr(fcntl, "flock", flock)
                seconds.append(pool.submit(BackingUp(small, file).run))
                assert opened.wait(60)

        try:
            made = BackingUp(small, file).run(begin_another)
            first = file.open("rb")
            whole = first.read()
        finally:
            over.set()
        assert seconds[0].result() == made
    assert first.seek(0, os.SEEK_END) == len(whole) > 0
    first.close()
    assert Restoration(file, tmp_path / "back").run() == made
    assert names(tmp_path) == {"x.tar", "back"}


def test_the_scratch_file_of_another_is_left_when_ours_is_renamed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.tar"

    def fail(folder: Path) -> None:
        (tmp_path / "x.tar.part").write_bytes(b"another's")
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(generations, "sync", fail)
    with pytest.raises(OSError, match="no"):
        BackingUp(small, file).run()
    assert (tmp_path / "x.tar.part").read_bytes() == b"another's"


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_file_that_has_the_name_of_the_copy_is_kept(
    small: Path, tmp_path: Path, end: str
) -> None:
    mine = tmp_path / f"shop.store{end}"
    mine.write_bytes(b"my shop")
    with pytest.raises(ClozeError, match=f"{mine.name} is there and of no backup"):
        BackingUp(small, tmp_path / "shop").run()
    assert mine.read_bytes() == b"my shop"
    assert names(tmp_path) == {mine.name}


def test_a_damaged_store_is_not_backed_up(small: Path, backed_up: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    Restoration(backed_up, folder).run()
    older = backed_up.read_bytes()
    content = bytearray((folder / "store.sqlite").read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 16] = b"\xff" * 16
    (folder / "store.sqlite").write_bytes(content)
    with pytest.raises(DamagedIndexError, match=r"is damaged .*so it was not copied"):
        BackingUp(folder, backed_up).run()
    assert backed_up.read_bytes() == older
    assert names(tmp_path) == {"index", "small.tar"}


def test_a_busy_index_is_exit_2_and_names_the_process(small: Path) -> None:
    """Through the command line; the wait for the lock is cut short here."""
    code = (
        "import cloze, indexer.lock as lock; "
        "lock.writer_lock.__wrapped__.__kwdefaults__['wait'] = 0.1; cloze.main()"
    )
    with writer_lock(small):
        done = subprocess.run(
            [sys.executable, "-c", code, "delete", str(small), "d1"],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"{small} is being written by process {os.getpid()} (" in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_of_members_cover_all_that_an_index_may_hold() -> None:
    for name in (
        "manifest.json", "store.sqlite", "data-0a/store.sqlite", "dense/0a.faiss",
        "dense/0a.safetensors", "lexical/000001/.managed.json", "data-0a/lexical/12/meta.json",
    ):  # fmt: skip
        assert MEMBER.fullmatch(name)

"""Make the golden indexes of the code at hand: `python tests/golden/make.py`, once a format.

Of each format there are a lexical index and one with vectors, packed, with a JSON file beside that
says what they hold and find. Those of released formats are never made again. Vectors of queries are
in the JSON, so that the tests need no model.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

HERE = Path(__file__).resolve().parent
if not any((Path(place) / "indexer").is_dir() for place in sys.path if place):
    sys.path.insert(0, str(HERE.parents[1]))

from indexer.creation import Settings  # noqa: E402
from indexer.documents import Document  # noqa: E402
from indexer.filters import parse  # noqa: E402
from indexer.index import Index  # noqa: E402
from indexer.manifest import FORMAT  # noqa: E402
from tests.conftest import _write_bert, _write_tokenizer  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERIES = ("red fox", "the old stone house", "moon over water", "搜索 向量", "absent")
FILTERS = ("year >= 2005", "lang = zh", "tags = b and not year = 2003", "place.country exists")
_DEPTH = 100
_SUBJECTS = ("red fox", "old king", "small bird", "grey ship")
_PLACES = ("under the moon", "in the stone house", "over the water", "by the river", "at sea",
           "on the green mountain")  # fmt: skip


class _Found(Protocol):
    """What postings and vectors find."""

    @property
    def numbers(self) -> "NDArray[np.int64]": ...
    @property
    def scores(self) -> "NDArray[np.float64]": ...


def documents() -> list[Document]:
    """Two dozen documents: with and without title, metadata of every kind, Chinese, no text."""
    made = []
    for number in range(24):
        text = f"The {_SUBJECTS[number % 4]} sleeps {_PLACES[number % 6]}. It is day {number}."
        metadata: dict[str, Any] = {"year": 2000 + number % 9, "tags": ["a", "b"][: number % 3]}
        if number % 5 == 2:
            text, metadata["lang"] = "搜索引擎用向量找文本。" + text, "zh"
        if number % 7 == 3:
            metadata["place"] = {"country": "é", "height": 1.5, "real": True, "none": None}
        title = "" if number % 2 else f"Day {number}"
        made.append(Document(id=f"d{number:02d}", title=title, text=text, metadata=metadata))
    made[11] = Document(id="only a title ü", title="The supersonic ship", text="")
    return made


def build(folder: Path, settings: Settings) -> dict[str, Any]:
    """Write an index with an update and a delete, and return what it holds and finds."""
    with Index.open(folder, settings, threads=1) as index:
        made = documents()
        index.add(made)
        index.add([replace(made[4], text="The red fox has gone to the old stone house.")])
        index.delete(["d09"])
    with Index.open(folder, threads=1) as index:
        return _described(index, with_vectors=settings.model is not None)


def _described(index: Index, *, with_vectors: bool) -> dict[str, Any]:
    live = {document.id: document for _, document in index.store.all_live()}
    described: dict[str, Any] = {
        "format": FORMAT,
        "documents": {d.id: [d.title, d.text, dict(d.metadata)] for d in live.values()},
        "dead": index.store.dead(),
        "lexical": {text: _hits(index, index.lexical.search(text, _DEPTH)) for text in QUERIES},
        "filters": {text: sorted(_passing(index, text)) for text in FILTERS},
    }
    if with_vectors:
        described["token_vectors"] = token_hashes(index)
        vectors = index.encoder.encode_queries(list(QUERIES))
        described["dense"] = {
            text: {
                "vector": vector.tolist(),
                "hits": _hits(index, index.dense.search(vector, _DEPTH)),
            }
            for text, vector in zip(QUERIES, vectors, strict=True)
        }
    return described


def token_hashes(index: Index) -> dict[str, str]:
    """Return a hash of each live document's token vectors, by id."""
    return {
        document.id: hashlib.sha256(
            b"".join(index.store.intact_codes_of(number).values())
        ).hexdigest()
        for number, document in index.store.all_live()
    }


def _hits(index: Index, found: _Found) -> dict[str, float]:
    ids = index.store.ids(found.numbers.tolist())
    pairs = zip(found.numbers.tolist(), found.scores.tolist(), strict=True)
    return {ids[number]: score for number, score in pairs}


def _passing(index: Index, text: str) -> list[str]:
    numbers = index.store.matching(parse(text), index.sequence).tolist()
    return list(index.store.ids(numbers).values())


def pack(folder: Path, file: Path) -> None:
    """Pack an index without its lock, which names whoever wrote it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".lock" and path.name != "lock":
                member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                member.size = path.stat().st_size
                archive.addfile(member, io.BytesIO(path.read_bytes()))
    file.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="golden-") as place:
        model = Path(place) / "model"
        model.mkdir()
        _write_bert(model, _write_tokenizer(model), seed=1)
        for kind, settings in (
            ("lexical", Settings(lexical_only=True)),
            ("dense", Settings(model=str(model), token_vectors=True)),
        ):
            described = build(Path(place) / kind, settings)
            pack(Path(place) / kind, HERE / f"format-{FORMAT}-{kind}.tar.gz")
            text = json.dumps(described, ensure_ascii=False, indent=1)
            (HERE / f"format-{FORMAT}-{kind}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

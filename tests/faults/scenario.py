"""What the killed processes write: documents in stages, and what is stored at each commit."""

import random
from dataclasses import replace

from indexer.documents import Document

BATCH = 25
QUERIES = ("fox river", "the old stone house", "ocean", "搜索 向量", "moon water wind fire", "zz")
WORDS = (
    "fox river old stone house moon water wind fire bird ocean ship tree king letter glass "
    "machine wheel flow shock wing plane table paper lake"
).split()

State = dict[str, Document]


def first() -> list[Document]:
    """The documents of stage A: short, long, empty, Chinese, and some of equal text."""
    chance = random.Random(1)
    return [_document(f"d{place:03d}", place, chance) for place in range(300)]


def _document(id: str, place: int, chance: random.Random) -> Document:
    words = 150 if place % 40 == 3 else chance.randint(3, 14)
    text = " ".join(chance.choices(WORDS, k=words)) + "."
    if place % 50 == 7:
        text = ""
    if place % 30 == 11:
        text = "搜索引擎用向量。" + text
    if place % 25 == 13:
        text = "the same old house"
    title = "" if place % 3 == 0 else " ".join(chance.choices(WORDS, k=2))
    return Document(id=id, text=text, title=title, metadata={"n": place % 7, "half": place / 2})


def second() -> list[Document]:
    """The documents of stage B: of A's, some changed, some unchanged, some gone; and new ones.

    More than a tenth is replaced or gone, so that the run compacts by itself.
    """
    chance = random.Random(2)
    documents = []
    for place, document in enumerate(first()):
        if place % 11 == 5:
            continue
        if 50 <= place < 100:  # a batch or two in which nothing changes
            documents.append(document)
        elif place % 5 == 1:
            documents.append(_document(document.id, place, chance))
        elif place % 10 == 2:
            documents.append(replace(document, metadata={"n": place % 7, "new": "yes"}))
        else:
            documents.append(document)
    return documents + [_document(f"e{place:02d}", place, chance) for place in range(20)]


DELETED = (*(f"d{place:03d}" for place in range(0, 300, 20)), "e03", "absent")


def writer(number: int) -> list[Document]:
    """The documents of one of two writers at once."""
    chance = random.Random(10 + number)
    return [_document(f"w{number}-{place:03d}", place, chance) for place in range(200)]


def batches(documents: list[Document]) -> list[list[Document]]:
    """The batches in which a run writes documents."""
    return [documents[start : start + BATCH] for start in range(0, len(documents), BATCH)]


def is_writers(id: str) -> bool:
    """Tell whether a document is one of a second writer's, not of stages A to R."""
    return id.startswith("w")


def whole_batches(ids: set[str], number: int) -> list[bool]:
    """Tell which batches of a writer are among these ids, each whole or not at all.

    Raises:
        AssertionError: a part of a batch is there.
    """
    found = []
    for batch in batches(writer(number)):
        its = {document.id for document in batch}
        assert its <= ids or not its & ids, f"half a batch of writer {number}: {sorted(its & ids)}"
        found.append(its <= ids)
    return found


def acknowledged_before(stage: str) -> int:
    """How many acknowledgements the stages before this one give: where it starts in `states`."""
    first_stage, second_stage = len(batches(first())) + 1, len(batches(second())) + 1
    return {"A": 0, "B": first_stage, "C": first_stage + second_stage}.get(stage, len(states()) - 1)


def states() -> list[State]:
    """What is stored at first, and after each acknowledgement of A, B and C, in order.

    Stage R encodes anew what is there, and changes no document.
    """
    found: list[State] = [{}]

    def then(state: State) -> None:
        found.append(state)

    for documents in (first(), second()):
        for batch in batches(documents):
            then(found[-1] | {document.id: document for document in batch})
        kept = {document.id for document in documents}
        then({id: document for id, document in found[-1].items() if id in kept})
    then({id: document for id, document in found[-1].items() if id not in DELETED})
    then(found[-1])
    return found

"""The text of a PDF file, page by page."""

import io
import logging
import sys
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError

from indexer.corpus.fields import BadRecord, too_long

_BETWEEN_PAGES = "\n\n"
_NESTING = 5_000  # of objects; pypdf reads them by recursion


def read_pages(data: bytes, limit: int) -> dict[str, Any]:
    """Return title, text and metadata (`pages`: how many) of a PDF file.

    Pages are separated by a blank line. A file that is damaged, asks for a password, or holds no
    text, and text of more than `limit` bytes, are a BadRecord.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    sys.setrecursionlimit(_NESTING)
    try:
        return _read(data, limit)
    except (BadRecord, MemoryError):
        raise
    except DependencyError:
        raise _encrypted() from None
    # Damage shows as any exception whatever: the library trusts what a file says of itself.
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadRecord(f"the PDF is damaged ({reason})", "get the file again") from None


def _read(data: bytes, limit: int) -> dict[str, Any]:
    reader = PdfReader(io.BytesIO(data), strict=False)
    # Many are encrypted with an empty password, which forbids printing and not reading.
    if reader.is_encrypted and not reader.decrypt(""):
        raise _encrypted()
    texts: list[str] = []
    size = 0
    for page in reader.pages:
        text = page.extract_text().strip()
        size += len(text.encode("utf-8", "replace")) + len(_BETWEEN_PAGES)
        if size > limit + len(_BETWEEN_PAGES):
            raise too_long(limit)
        texts.append(text.encode("utf-8", "replace").decode())
    if not any(texts):
        problem = f"no text in its {len(texts)} pages: it may hold pictures of text"
        raise BadRecord(problem, "recognise the text first")
    title = _title(reader)
    text = _BETWEEN_PAGES.join(filter(None, texts))
    return {"title": title, "text": text, "metadata": {"pages": len(texts)}}


def _title(reader: PdfReader) -> str:
    title = reader.metadata.title if reader.metadata is not None else None
    return " ".join(str(title or "").encode("utf-8", "replace").decode().split())


def _encrypted() -> BadRecord:
    return BadRecord("the PDF asks for a password", "save it without one")

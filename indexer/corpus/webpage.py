"""The title, text and description of a page of HTML."""

import codecs
import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from indexer.corpus.fields import BadRecord

# Of elements that show no text of their own, or that every page of a site repeats.
_HIDDEN = frozenset(
    "script style noscript template head nav footer svg math iframe object canvas audio video map "
    "select button textarea datalist dialog".split()
)
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q rp rt "
    "ruby s samp small span strike strong sub sup time tt u var wbr input picture source".split()
)
_CELLS = frozenset(("td", "th"))

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
          (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_DECLARED_WITHIN = 4096  # bytes; browsers look at 1024
_DECLARED = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_SAFE = re.compile(
    r"utf-?8|(us-)?ascii|iso-?8859-\d+|latin-?\d|windows-(125\d|874)|cp125\d|koi8-[ru]|macintosh|"
    r"gb2312|gbk|gb18030|big5(-hkscs)?|euc-(jp|kr)|shift[_-]jis|sjis|iso-2022-jp|ks_c_5601-1987|"
    r"tis-620"
)
# What browsers read these as: the larger sets that pages in fact use.
_READ_AS = {"iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252",
            "us-ascii": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030",
            "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "windows-874": "cp874",
            "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "macintosh": "mac-roman"}  # fmt: skip


def read_page(data: bytes) -> dict[str, Any]:
    """Return title, text and metadata (`description`, `lang`, where the page gives them).

    The title is `<title>`, else the first `<h1>`, which the text then lacks. A block, a row or a
    `<br>` begins a line. A page that isn't in its encoding is a BadRecord.
    """
    tree = LexborHTMLParser(_decode(data))
    root = tree.root
    if root is None:
        return {"title": "", "text": "", "metadata": {}}
    named = tree.css_first("head > title")
    title = _line(named.text()) if named is not None else ""
    heading = None if title else tree.css_first("h1")
    if heading is not None:
        title = _line("".join(_pieces(heading, None)))
    text = "".join(_pieces(root, heading))
    lines = (line.rstrip() if "\x1f" in line else _line(line) for line in text.split("\x1e"))
    shown = "\n".join(filter(None, (line.replace("\x1f", "") for line in lines)))
    return {"title": title, "text": shown, "metadata": _metadata(tree)}


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    declared = _DECLARED.search(data[:_DECLARED_WITHIN])
    name = declared[1].decode("ascii", "replace").lower() if declared else "utf-8"
    # A page that says UTF-16 in letters of one byte is not.
    name = name if _SAFE.fullmatch(name) else "utf-8"
    return _decode_as(data, _READ_AS.get(name, name))


def _decode_as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError:
        return _decode_as(data, "utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte 0x{data[error.start]:02x} at offset {error.start} is not {encoding}"
        remedy = "save the page as UTF-8, or name its encoding in a <meta charset>"
        raise BadRecord(problem, remedy) from None


def _metadata(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in tree.css("meta[name][content]"):
        if (meta.attributes["name"] or "").lower() == "description":
            found.setdefault("description", _line(meta.attributes["content"] or ""))
    root = tree.css_first("html[lang]")
    if root is not None:
        found["lang"] = _line(root.attributes["lang"] or "")
    return {name: value for name, value in found.items() if value}


def _pieces(top: LexborNode, left_out: LexborNode | None) -> Iterator[str]:
    """Yield the visible text in order, with U+001E where a line ends and U+001F in `<pre>`."""
    preformatted = 0
    for node, opens in _walk(top, None if left_out is None else left_out.mem_id):
        if node.tag == "pre":
            preformatted += 1 if opens else -1
        if node.tag != "-text":
            yield _break(node.tag)
        elif opens:
            yield _shown(node.text_content or "", preformatted > 0)


def _walk(top: LexborNode, left_out: int | None) -> Iterator[tuple[LexborNode, bool]]:
    """Yield every visible node where it opens, with True, and where it closes, with False."""
    # Not a recursive function: elements may be nested deeper than Python's stack.
    node, last = top, top.mem_id
    while True:
        if node.mem_id != left_out and not _is_hidden(node):
            yield node, True
            if node.child is not None:
                node = node.child
                continue
            yield node, False
        while node.mem_id != last and node.next is None and node.parent is not None:
            node = node.parent
            yield node, False
        if node.mem_id == last or node.next is None:
            return
        node = node.next


def _is_hidden(node: LexborNode) -> bool:
    tag = node.tag or ""
    if tag in _HIDDEN:
        return True
    if tag.startswith("-") or tag in _INLINE:
        return False
    attributes = node.attributes
    return "hidden" in attributes or attributes.get("role") == "navigation"


def _break(tag: str | None) -> str:
    if tag in _CELLS:
        return " "
    return "" if tag is None or tag.startswith("-") or tag in _INLINE else "\x1e"


def _shown(text: str, preformatted: bool) -> str:
    text = text.replace("\x1e", " ").replace("\x1f", " ")
    if not preformatted:
        return text
    return "\x1e".join("\x1f" + line for line in text.expandtabs().splitlines())


def _line(text: str) -> str:
    return " ".join(text.split())

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.pairs.identity import digest, identity

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_by_hand() -> None:
    assert identity("  Fish\n\tSWIM ") == hashlib.sha256(b"fish swim").hexdigest()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Straße", "STRASSE"), ("ﬁsh", "fish"), ("Café", "Cafe\u0301"), ("１２", "12"),
        ("a\u00a0b\u3000c", "a b c"), ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)  # fmt: skip
def test_what_is_one(first: str, second: str) -> None:
    assert identity(first) == identity(second)


@pytest.mark.parametrize(
    ("first", "second"), [("fish", "fishes"), ("a b", "ab"), ("no.", "no"), ("e", "é")]
)
def test_what_is_not(first: str, second: str) -> None:
    assert identity(first) != identity(second)


@given(TEXT, TEXT, st.sampled_from([" ", "\n", "\u2003 \t"]))
def test_white_space_and_form_do_not_count(first: str, second: str, space: str) -> None:
    assert identity(f"{first} {second}") == identity(f"{space}{first}{space}{second} ")
    assert identity(first) == identity(unicodedata.normalize("NFD", first))
    assert digest(first).hex() == identity(first)

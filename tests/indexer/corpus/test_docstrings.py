

def test_private_names_are_left_out() -> None:
    found = [document.id for document in Corpus(["docstrings:json"])]
    assert "json.dumps" in found
    assert not [name for name in found if name.rpartition(".")[2].startswith("_")]

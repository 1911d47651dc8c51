"""schemathesis over the whole OpenAPI of a running service: all its checks, with and without keys.

Requests are made from the document alone, right ones and wrong ones; what is answered must be
documented, and never a 5xx.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from indexer.creation import Settings
from indexer.documents import Document
from search.api.keys import Key, Keys
from search.api.settings import ApiSettings
from search.index import Index
from search.service.settings import Limits, ServiceSettings
from tests.search.api.serving import serving

SECRET = "a-key-that-writes"
# Small, so that the document's own limits are reached.
LIMITS = Limits(top=50, batch=4, texts=8, documents=8, query=100, text=500)
# Where the document can't tell all: the grammar of a filter, an id twice in one request, a
# dimension that is the model's, and 3.0 for an integer (which JSON Schema takes for one).
REFUSED = (
    "GET /v1/search", "POST /v1/search", "PUT /v1/documents", "POST /v1/documents/delete",
    "GET /v1/documents/{id}", "DELETE /v1/documents/{id}", "POST /v1/embeddings",
    "POST /v1/rerank", "POST /v2/rerank",
)  # fmt: skip
CONFIG = """
[generation]
no-shrink = true
[checks]
enabled = true
[warnings]
fail-on = [
    "missing_auth", "base_url_mismatch", "missing_deserializer", "unused_openapi_auth",
    "unmatched_filter", "unresolvable_reference", "rate_limited",
]
# A document may have the id "delete", so that this path takes the methods of documents too.
[[operations]]
include-path = "/v1/documents/delete"
checks.allow_header_conformance.enabled = false
# It has no body, and demands to be told of its type all the same.
[[operations]]
include-name = "POST /v1/index/compact"
headers = { Content-Type = "application/json" }
"""


def config() -> str:
    """Return schemathesis' configuration, with what may be refused of each operation."""
    expected = json.dumps(["2xx", 401, 403, 404, 413, 422])
    return CONFIG + "".join(
        f"""
[[operations]]
include-name = "{name}"
checks.positive_data_acceptance.expected-statuses = {expected}
"""
        for name in REFUSED
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A running service: where, and what to send to be let in."""

    address: str
    headers: dict[str, str]


def keys() -> Keys:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    return Keys(keys=(Key(digest=digest, scope="write", name="schemathesis"),))


@pytest.fixture(params=["open", "keys"])
def running(
    request: pytest.FixtureRequest, documents: list[Document], tiny_model: Path, tmp_path: Path
) -> Iterator[Running]:
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add(documents[:30])
    keyed = request.param == "keys"
    api = ApiSettings(access_log=False, keys=keys() if keyed else None)
    headers = {"Authorization": f"Bearer {SECRET}"} if keyed else {}
    with serving(tmp_path / "index", ServiceSettings(limits=LIMITS), api) as address:
        yield Running(address, headers)


def test_every_answer_is_documented(running: Running, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(config())
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file=schemathesis.toml", "--no-color",
        "run",
        f"{running.address}/openapi.json", "--max-examples=8", "--seed=6",
        "--workers=1", "--continue-on-failure",
        *(f"--header={name}: {value}" for name, value in running.headers.items()),
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ready = requests.get(f"{running.address}/health/ready", timeout=10)
    assert ready.json() == {"status": "ready"}

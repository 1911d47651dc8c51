"""A server killed at random instants while clients write: what it acknowledged stays.

`python -m tests.faults.served --writes 1000` prints what became of the writes; the tests do fewer.
"""

import argparse
import http.client
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from eval.bench.serving.process import Server, served
from indexer.creation import Settings
from indexer.index import Index
from indexer.verification import damage
from tests.faults.clients import Client, ask
from tests.faults.contents import stored
from tests.faults.models import make_models
from tests.faults.processes import ROOT
from tests.faults.promises import merged

_CLIENTS = 4
# A kill falls at most so many seconds after the clients began.
_LATEST = 1.0
# So many at least, while several clients write and while a single one does.
_LEAST = 3
_MOST = 10_000


@dataclass(slots=True, kw_only=True)
class Told:
    """What became of a run: requests that wrote, kills, and what they had left open.

    `open_writes` are the documents of which a killed server had not said what it would do.
    """

    writes: int = 0
    acknowledged: int = 0
    kills: int = 0
    open_writes: int = 0

    def line(self) -> str:
        """Say it in a line."""
        return (
            f"{self.writes:,} writes, {self.acknowledged:,} acknowledged, {self.kills} kills, "
            f"{self.open_writes} documents left open by them; nothing lost"
        )


class Served:
    """An index whose server is killed and started again, and the clients that write to it."""

    def __init__(self, folder: Path, model: Path, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._clients = [Client(f"c{number}", seed + number) for number in range(_CLIENTS)]
        self.told = Told()
        with Index.open(folder, Settings(model=str(model)), threads=1):
            pass

    def run(self, writes: int) -> Told:
        """Kill servers until there were so many writes, then let one stop in good order."""
        while self._written() < writes or self.told.kills < _LEAST:
            self._killed(self._clients[: 1 if self.told.kills % 2 else _CLIENTS])
            self._check()
        self._stopped()
        self._check()
        verified = subprocess.run(
            [sys.executable, str(ROOT / "cloze.py"), "verify", str(self._folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert verified.returncode == 0, verified.stdout + verified.stderr
        self.told.writes = self._written()
        self.told.acknowledged = sum(client.acknowledged for client in self._clients)
        return self.told

    def _written(self) -> int:
        return sum(client.writes for client in self._clients)

    def _killed(self, clients: Sequence[Client]) -> None:
        server = self._start()
        try:
            for client in clients:
                client.start(server.port, _MOST)
            time.sleep(self._chance.uniform(0, _LATEST))
            assert server.alive, server.said
        finally:
            server.kill()
        self.told.kills += 1
        for client in clients:
            client.finish()

    def _stopped(self) -> None:
        server = self._start()
        try:
            for client in self._clients:
                client.start(server.port, 1)
            for client in self._clients:
                client.finish()
        except BaseException:
            server.kill()
            raise
        assert server.stop() == 0

    def _start(self) -> Server:
        """Start a server, and ask it for every document that was ever written."""
        server = Server(served(self._folder, threads=1))
        try:
            found = {}
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            for id in merged([client.promises for client in self._clients]).known():
                status, answer = ask(connection, "GET", f"/v1/documents/{quote(id)}")
                assert status in (200, 404), (status, answer)
                if status == 200:
                    found[id] = answer["text"]
            connection.close()
            self._hold_against(found)
        except BaseException:
            server.kill()
            raise
        return server

    def _check(self) -> None:
        """Look into a copy, so that the next server meets what the kill left."""
        copy = self._folder.with_name("copy")
        shutil.copytree(self._folder, copy)
        with Index.open(copy, threads=1) as index:
            found = {id: document.text for id, document in stored(index).items()}
            assert damage(index) == []
        shutil.rmtree(copy)
        self._hold_against(found)
        self.told.open_writes += sum(client.promises.settle(found) for client in self._clients)

    def _hold_against(self, found: dict[str, str]) -> None:
        broken = merged([client.promises for client in self._clients]).broken(found)
        assert broken == [], broken


def main() -> None:
    """Do as many writes as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="cloze-served-"))
    os.environ.setdefault("CLOZE_HOME", str(home / "home"))
    begin = time.monotonic()
    model, _ = make_models(home)
    told = Served(home / "index", model, options.seed).run(options.writes)
    shutil.rmtree(home)
    sys.stdout.write(f"{told.line()}, in {time.monotonic() - begin:.0f} s\n")


if __name__ == "__main__":
    main()

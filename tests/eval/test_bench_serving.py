"""The bench of the service: schedules by seed, honest counting, statistics against numpy."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from eval.bench.serving import bench
from eval.bench.serving.arrivals import constant, poisson, schedule
from eval.bench.serving.bench import bench_serve
from eval.bench.serving.chart import serving_chart
from eval.bench.serving.connection import Connection
from eval.bench.serving.generator import Feed, generate
from eval.bench.serving.goals import goals
from eval.bench.serving.levels import Pace
from eval.bench.serving.loop import BROKEN, UNANSWERED, Sent, Stream, send
from eval.bench.serving.messages import put_request, search_request
from eval.bench.serving.outcome import latencies, outcome, throughput, together
from eval.bench.serving.process import Server, is_ready
from eval.bench.serving.queries import UniqueQueries
from eval.bench.serving.saturation import rates_in_turn, ratio
from eval.bench.serving.table import table
from indexer.documents import Document
from indexer.errors import ClozeError
from search.index import Index
from search.service.settings import ServiceSettings
from tests.conftest import Cloze
from tests.eval.stub_server import answer, stub

QUERIES = ["where does the river go", "how do birds find home", "trees", "a b c d e f g h i j"]


def message(body: str) -> bytes:
    return f"POST / HTTP/1.1\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def open_loop(bodies: list[str], gap: float, **options: Any) -> Stream:  # noqa: ANN401
    """Requests that are due so many seconds apart."""
    arrivals = [place * gap for place in range(len(bodies))]
    options = {"connections": 1, **options}
    return Stream(requests=[message(body) for body in bodies], arrivals=arrivals, **options)


# Schedules.


@pytest.mark.parametrize("rate", [3.0, 250.0])
def test_poisson_arrivals_have_independent_exponential_gaps(rate: float) -> None:
    seconds = 4_000 / rate
    times = np.array(poisson(rate, seconds, seed=1))
    assert (np.diff(times) > 0).all() and times[0] > 0 and times[-1] < seconds
    assert abs(len(times) - 4_000) < 4 * 4_000**0.5
    gaps = np.diff(times, prepend=0)
    assert kstest(gaps * rate, "expon").pvalue > 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.05


def test_a_seed_is_a_schedule() -> None:
    assert poisson(50, 5, 3) == poisson(50, 5, 3) != poisson(50, 5, 4)
    # A longer one only adds to it: nothing of it depends on where it is cut.
    assert poisson(50, 9, 3)[: len(poisson(50, 5, 3))] == poisson(50, 5, 3)


def test_constant_arrivals_by_hand() -> None:
    assert constant(4, 1) == [0, 0.25, 0.5, 0.75]
    assert constant(2.5, 1) == [0, 0.4, 0.8]
    assert constant(0.5, 1) == [0]
    assert schedule("constant", 4, 1, 0) == constant(4, 1)
    assert schedule("poisson", 4, 1, 0) == poisson(4, 1, 0)


# Queries.


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_queries_are_unique_and_made_of_real_ones(seed: int, count: int) -> None:
    texts = UniqueQueries(QUERIES, seed, "q").take(count)
    assert len(set(texts)) == len(texts) == count
    words = {word for query in QUERIES for word in query.split()}
    lengths = {len(query.split()) for query in QUERIES}
    for text in texts:
        assert set(text.split()) <= words
        assert len(text.split()) <= max(lengths)
    supply = UniqueQueries(QUERIES, seed, "q")
    assert supply.take(count // 2) + supply.take(count - count // 2) == texts


def test_queries_keep_the_lengths_of_real_ones() -> None:
    same = [" ".join(f"w{query}x{place}" for place in range(7)) for query in range(40)]
    assert {len(text.split()) for text in UniqueQueries(same, 0, "q").take(500)} == {7}


def test_too_few_words_are_told() -> None:
    with pytest.raises(ClozeError, match=r"q\.txt has 0 queries with words, expected one or more"):
        UniqueQueries(["", "  "], 0, "q.txt")
    supply = UniqueQueries(["one two"], 0, "q.txt")
    assert sorted(supply.take(4)) == ["one one", "one two", "two one", "two two"]
    with pytest.raises(ClozeError, match=r"queries of q\.txt can be mixed in 4 ways"):
        supply.take(1)


def test_requests_are_what_http_says() -> None:
    for text, request in (
        ('naïve 搜索 "x"', search_request('naïve 搜索 "x"', 81)),
        ("tail", put_request(Document(id="é", text="tail", metadata={"n": 1}), 81)),
    ):
        head, _, body = request.encode().partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = dict(line.split(": ") for line in rest)
        assert headers["Content-Length"] == str(len(body))
        assert (headers["Host"], headers["Content-Type"]) == ("127.0.0.1:81", "application/json")
        asked = json.loads(body)
        if first == "POST /v1/search HTTP/1.1":
            assert asked == {"query": text}
        else:
            assert first == "PUT /v1/documents HTTP/1.1"
            document = {"id": "é", "title": "", "text": text, "metadata": {"n": 1}}
            assert asked == {"documents": [document]}


# The loop.


def test_an_open_loop_waits_for_no_answer() -> None:
    every = Barrier(30)  # nobody is answered before all have asked

    def reply(body: str) -> bytes:
        every.wait(20)
        return answer(200)

    with stub(reply) as server:
        (sent,) = send(server.port, [open_loop([f"{place}" for place in range(30)], 0.002)], 20)
        assert sent.status == [200] * 30
        assert server.connections == 30


def test_waiting_for_a_server_that_stalls_is_counted() -> None:
    gap, count = 0.01, 20

    def reply(body: str) -> bytes:
        if body == "0":  # all others are due before this one is answered
            time.sleep(gap * count * 1.5)
        return answer(200)

    with stub(reply) as server:
        bodies = [f"{place}" for place in range(count)]
        (sent,) = send(server.port, [open_loop(bodies, gap, most=1)], 20)
    assert sent.due == [place * gap for place in range(count)]
    assert server.bodies == bodies and server.connections == 1
    stalled = sent.done[0]
    assert stalled >= gap * count * 1.5
    for place in range(1, count):
        # Sent after the stall, and counted from when it was due: no coordinated omission.
        assert sent.sent[place] >= stalled
        assert latencies(sent)[place] == sent.done[place] - place * gap >= stalled - place * gap
    found = outcome(sent, 1)
    waited = [1000 * (stalled - place * gap) for place in range(count)]
    assert found["accepted_ms"]["p50"] >= np.percentile(waited, 50) - 0.001
    assert found["late_ms"]["p50"] >= np.percentile(waited, 50) - waited[0] / count - 0.001


def test_a_closed_loop_asks_again_when_it_is_answered() -> None:
    flying: list[int] = []
    most = []

    def reply(body: str) -> bytes:
        flying.append(1)
        most.append(len(flying))
        time.sleep(0.005)
        flying.pop()
        return answer(200)

    requests = [message(f"{place}") for place in range(60)]
    with stub(reply) as server:
        stream = Stream(requests=requests, arrivals=None, connections=4)
        (sent,) = send(server.port, [stream], 20)
        assert server.connections == 4 and max(most) == 4
    assert sent.status == [200] * 60 and Counter(server.bodies).most_common(1)[0][1] == 1
    for place in range(4, 60):  # each was sent after all but three of those before were answered
        assert sorted(sent.done)[place - 4] <= sent.sent[place]
    assert sent.due == pytest.approx(sent.sent, abs=1)


def test_a_closed_loop_ends_with_its_time() -> None:
    requests = [message("x")] * 100_000
    with stub(lambda body: answer(200)) as server:
        stream = Stream(requests=requests, arrivals=None, connections=2, seconds=0.2)
        (sent,) = send(server.port, [stream], 20)
    assert 2 < len(sent.due) < len(requests)
    assert max(sent.due) < 0.2 and set(sent.status) == {200}


def test_every_request_is_counted_by_what_became_of_it() -> None:
    replies = {
        "good": answer(200, b"x" * 300_000), "busy": answer(429), "wrong": answer(500), "gone": b"",
    }  # fmt: skip
    bodies = ["good", "busy", "gone", "good", "wrong", "gone", "busy", "good"]
    with stub(lambda body: replies[body]) as server:
        (sent,) = send(server.port, [open_loop(bodies, 0.01)], 20)
    assert sent.status == [200, 429, BROKEN, 200, 500, BROKEN, 429, 200]
    found = outcome(sent, 2)
    assert (found["requests"], found["accepted"], found["refused"]) == (8, 3, 2)
    assert found["other"] == {"broken": 2, "500": 1}
    assert found["accepted_per_second"] == 1.5
    assert len(latencies(sent)) == 3 and len(latencies(sent, refused=True)) == 2


def test_what_is_not_answered_in_time_and_what_is_never_sent_is_counted_too() -> None:
    with stub(lambda body: answer(200, b"123456789")[:-4]) as server:  # never the last four bytes
        (sent,) = send(server.port, [open_loop(["a", "b", "c"], 0.01, most=1)], 0.5)
        assert len(server.bodies) <= 1
    assert sent.status == [UNANSWERED] * 3 and sent.due == [0, 0.01, 0.02]
    assert sent.done == [float("inf")] * 3 and sent.sent[1:] == [float("inf")] * 2
    found = outcome(sent, 1)
    assert found["other"] == {"unanswered": 3} and found["accepted_ms"] is None


def test_an_answer_may_come_in_pieces() -> None:
    whole = answer(201, b"y" * 10)
    pieces = {"0": whole[:5], "1": whole[5:30], "2": whole[30:]}
    with stub(lambda body: pieces[body]) as server:
        connection = Connection(server.port)
        for body, expected in (("0", 0), ("1", 0), ("2", 201)):
            assert connection.send(message(body))
            assert connection.receive() == expected
        connection.close()


def test_two_streams_side_by_side_keep_their_own_books() -> None:
    with stub(lambda body: answer(200 if body == "read" else 429)) as server:
        streams = [open_loop(["read"] * 9, 0.01), open_loop(["write"] * 4, 0.02)]
        reads, writes = send(server.port, streams, 20)
    assert reads.status == [200] * 9 and writes.status == [429] * 4
    assert Counter(server.bodies) == {"read": 9, "write": 4}


def test_the_generator_is_a_process_that_tells_what_it_takes() -> None:
    requests = [search_request(query, 1) for query in UniqueQueries(QUERIES, 0, "q").take(40)]
    with stub(lambda body: answer(200)) as server:
        feed = Feed(requests=requests, arrivals=constant(200, 0.2), connections=3, seconds=0.2)
        load = generate(server.port, [feed])
        assert sorted(server.bodies) == sorted(each.partition("\r\n\r\n")[2] for each in requests)
    (sent,) = load.streams
    assert sent.due == constant(200, 0.2) and sent.status == [200] * 40
    assert load.cpu_ms == 1000 * load.cpu_seconds / 40 > 0


def test_a_generator_without_a_server_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with stub(lambda body: b"") as server:
        pass
    feed = Feed(requests=["x"], arrivals=[0.0], connections=1, seconds=1)
    with pytest.raises(ClozeError, match="the load generator ended with 1, expected 0"):
        generate(server.port, [feed])
    assert "the server can't be reached" in capfd.readouterr().err


def test_the_generator_imports_nothing_heavy() -> None:
    code = "import sys, eval.bench.serving.generator; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "openvino", "asyncio"} & set(done.stdout.split())


# Figures.


@given(
    st.lists(
        st.tuples(
            st.floats(0, 9), st.floats(0.001, 9), st.sampled_from([200, 201, 429, 500, BROKEN])
        ),
        min_size=1,
    )
)
def test_percentiles_are_numpys(drawn: list[tuple[float, float, int]]) -> None:
    sent = Sent(
        due=[due for due, _, _ in drawn],
        sent=[due for due, _, _ in drawn],
        done=[due + waited for due, waited, _ in drawn],
        status=[status for _, _, status in drawn],
    )
    found = outcome(sent, 1)
    for name, statuses in (("accepted_ms", {200, 201}), ("refused_ms", {429})):
        waited = [
            (done - due) * 1000
            for due, done, status in zip(sent.due, sent.done, sent.status, strict=True)
            if status in statuses
        ]
        if waited:
            expected = np.percentile(waited, [50, 95, 99])
            assert list(found[name].values()) == pytest.approx(expected, abs=0.001)
        else:
            assert found[name] is None
    assert found["accepted"] + found["refused"] + sum(found["other"].values()) == len(drawn)


def test_throughput_is_of_the_time_in_which_all_connections_worked() -> None:
    # Three of five were answered by when the last was sent, one of them with 429.
    sent = Sent(
        due=[0, 0, 1, 2, 4], sent=[0, 0, 1, 2, 4], done=[1, 2, 4, 5, 9],
        status=[200, 429, 200, 200, 200],
    )  # fmt: skip
    assert throughput(sent) == 2 / 4
    assert throughput(Sent()) == 0
    assert throughput(together([sent, Sent()])) == 2 / 4


def test_rates_are_measured_in_turn_and_every_other_round_backwards() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return len(order)

    systems = {name: partial(measure, name) for name in "ab"}
    assert rates_in_turn(systems, 3) == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert ratio([6, 1, 4], [3, 2, 2]) == 2
    with pytest.raises(ClozeError, match="slow: 0 queries answered, expected some"):
        rates_in_turn({"slow": lambda: 0.0}, 1)


# Servers as processes.

SERVER = """
import http.server, os, sys
ready = []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept = []
    def do_GET(self):
        # Not ready at first: a server that loads its models answers 503.
        status = 200 if self.path != "/health/ready" or len(ready) > 1 else 503
        ready.append(1)
        if self.path == "/grow":
            self.kept.append(bytearray(b"x") * (64 << 20))
        if self.path == "/leave":
            os._exit(5)
        if self.path == "/work":
            sum(range(3_000_000))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
key = os.environ.get("CLOZE_API_KEYS")
sys.stderr.write(f"loading key {key}\\n")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def test_a_server_is_started_and_watched_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOZE_API_KEYS", "read:theirs")
    server = Server(["-c", SERVER])
    connection = Connection(server.port)
    assert server.alive and is_ready(server.port)
    used = server.cpu_seconds
    with server.watched() as memory:
        for path in ("grow", "work", "work", "work", "work"):
            assert connection.ask(f"GET /{path} HTTP/1.1\r\n\r\n".encode()) == 200
        time.sleep(0.6)
    connection.close()
    assert 60 < memory[-1] - memory[0] < 80
    assert server.cpu_seconds > used
    assert server.said.startswith("loading key None")
    connection = Connection(server.port)
    with pytest.raises(ConnectionError):
        connection.ask(b"GET /leave HTTP/1.1\r\n\r\n")
    connection.close()
    while server.alive:
        time.sleep(0.01)
    assert not is_ready(server.port)
    for look in (lambda: server.cpu_seconds, lambda: server.memory_mib):
        with pytest.raises(ClozeError, match="ended with 5 while it was measured: loading key"):
            look()
    server.kill()


def test_a_server_is_killed() -> None:
    server = Server(["-c", SERVER])
    server.kill()
    assert not server.alive and not is_ready(server.port)


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    with pytest.raises(ClozeError, match="ended with 3, expected it to serve: no such index"):
        Server(["-c", "import sys; sys.stderr.write('no such index'); sys.exit(3)"])


# The report.


def level(share: float, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    spread = {"p50": 100.0, "p95": 150.0, "p99": 200.0}
    return {
        "share": share, "offered_per_second": 100 * share, "requests": 50, "accepted": 50,
        "refused": 0, "other": {}, "accepted_per_second": 50.0, "accepted_ms": spread,
        "refused_ms": None, "late_ms": spread, "p99_ms_by_round": [100.0, 200.0, 300.0],
        "memory_mib": {"first_half": 100.0, "second_half": 105.0}, "server_cpu_ms": 5.0,
        "generator_cpu_ms": 0.1, **changes,
    }  # fmt: skip


def result(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    over = level(
        4.0, refused=9, refused_ms={"p50": 1.0, "p95": 2.0, "p99": 3.0},
        p99_ms_by_round=[190.0, 410.0, 570.0],
    )  # fmt: skip
    found = {
        "seconds": 5.0,
        "rounds": 3,
        "capacity_per_second": 100.0,
        "one_client": {
            "ms": {"server": {"p50": 6.0}, "in_process": {"p50": 4.51}},
            "cost_ms": 1.49,
        },
        "saturation": {
            "rates": {
                "server": [90, 80, 85],
                "unbatched": [30, 20, 40],
                "batches": [100, 100, 100],
            },
            "per_second": {"server": 85.0, "unbatched": 30.0, "batches": 100.0},
        },
        "levels": [level(0.5), level(0.9), level(2.0), over],
        "writing": {"reads": level(0.5), "writes": level(0.5)},
        **changes,
    }
    found["goals"] = goals(
        found["one_client"], found["saturation"], found["levels"], found["writing"]
    )
    return found


def test_goals_by_hand() -> None:
    met = result()["goals"]
    assert [goal["met"] for goal in met] == [True] * 9
    assert [goal["value"] for goal in met] == [1.49, 3.0, 0.85, 1.9, 3.0, 0, 1.05, 0, 0]


def test_goals_that_are_missed_or_were_not_measured() -> None:
    over = level(
        4.0, p99_ms_by_round=[200.0, None, 660.0], other={"broken": 2},
        memory_mib={"first_half": 100.0, "second_half": 106.0},
    )  # fmt: skip
    missed = result(
        one_client={"cost_ms": 1.5},
        saturation={"rates": {"server": [84], "unbatched": [29], "batches": [100]}},
        levels=[level(0.5), level(0.9), level(2.0, other={"500": 1}), over],
        writing={"reads": level(0.5, accepted=49), "writes": level(0.5, accepted=0)},
    )["goals"]
    assert [goal["value"] for goal in missed] == [1.5, 2.897, 0.84, 2.1, None, 3, 1.06, 1, 50]
    assert [goal["met"] for goal in missed] == [*[False] * 4, None, *[False] * 4]


def test_a_table_and_a_picture(tmp_path: Path) -> None:
    found = result()
    lines = table(found).splitlines()
    assert lines[4].split() == ["400%", "400.0", "50.0", "100.0", "150.0", "200.0", "9", "3.0", "0"]
    assert lines[6].split()[0] == "writes"
    assert "met          p99 at 400% over p99 at 90%: 1.9 (goal < 2)" in lines
    assert "one client   6.00 ms at p50, in process 4.51" in lines
    serving_chart(found, str(tmp_path / "load.png"))
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    # Where nothing was refused there is a gap, and no error.
    serving_chart({**found, "levels": [level(0.5), level(0.9)]}, str(tmp_path / "load.png"))


def test_a_service_is_measured_whole(
    small_index: Path, small_collection: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(small_index, folder)
    with Index.open(folder, threads=1) as index:
        before = index.version
    told: list[str] = []
    pace = Pace(arrivals="poisson", seconds=0.4, rounds=1, seed=5)
    found = bench_serve(
        str(folder), str(small_collection / "queries.jsonl"), pace, queries=5, writes=20.0,
        threads=1, tell=told.append,
    )  # fmt: skip
    capacity = found["capacity_per_second"]
    assert capacity > 0
    for level, share in zip(found["levels"], (0.5, 0.9, 2, 4), strict=True):
        assert level["offered_per_second"] == pytest.approx(share * capacity, abs=0.06)
        assert level["requests"] == len(poisson(share * capacity, 0.4, 5))
        assert level["accepted"] + level["refused"] == level["requests"] and level["other"] == {}
        assert level["memory_mib"]["first_half"] > 10 and level["server_cpu_ms"] > 0
    assert found["saturation"]["connections"] == ServiceSettings().queue
    for server in found["saturation"]["servers"].values():
        assert server["accepted"] == server["requests"] > 0
    assert found["writing"]["writes"]["requests"] == 8
    assert found["writing"]["writes"]["accepted"] == 8
    assert found["one_client"]["ms"]["server"]["p50"] > 0
    assert len(found["goals"]) == 9 and all(goal["met"] is not None for goal in found["goals"][:4])
    assert json.loads(json.dumps(found)) == found and len(told) == 5
    # What is written goes into a copy, which is gone.
    with Index.open(folder, threads=1) as index:
        assert index.version == before
    assert [each.name for each in tmp_path.iterdir()] == ["index"]


def test_no_server_is_left_where_a_measurement_fails(
    small_index: Path, small_collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Server] = []

    def fail(engine: object, port: int, supply: object, queries: int) -> None:
        raise ClozeError("no more")

    def noted(stack: ExitStack, command: list[str]) -> Server:
        started.append(start(stack, command))
        return started[-1]

    start = bench._started
    monkeypatch.setattr(bench, "_started", noted)
    monkeypatch.setattr(bench, "service_cost", fail)
    pace = Pace(arrivals="constant", seconds=1, rounds=1, seed=0)
    with pytest.raises(ClozeError, match="no more"):
        bench_serve(
            str(small_index), str(small_collection / "queries.jsonl"), pace, queries=5,
            writes=20.0, threads=1,
        )  # fmt: skip
    assert len(started) == 1 and not started[0].alive


def test_arrivals_are_of_a_known_kind(cloze: Cloze) -> None:
    ended = cloze("bench", "serve", "x", "--queries", "q.txt", "--arrivals", "uniform")
    assert ended.returncode == 2
    assert "--arrivals is 'uniform'; choose poisson or constant" in ended.stderr

"""A server that encodes and answers one query after the other, to compare micro-batching with.

Run as `python -m eval.bench.serving.unbatched INDEX --threads N --port P`; in all else it is
`cloze serve`.
"""

import argparse
from pathlib import Path

from search.commands.serve import run
from search.service.settings import ServiceSettings


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    from indexer.threads import budget

    budget(options.threads, blas=1)
    from search.api.settings import ApiSettings

    settings = ServiceSettings(threads=options.threads, batch_queries=1)
    run(options.index, settings, ApiSettings(port=options.port))


if __name__ == "__main__":
    main()

"""The command line: one Typer app that mounts each floor's commands."""

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands.bench import bench
from eval.commands.collection import collection
from eval.commands.evaluate import compare, evaluate
from eval.commands.judge import judge
from eval.commands.reproduce import reproduce
from eval.commands.tune import tune
from indexer.commands.backup import backup, restore
from indexer.commands.build import index
from indexer.commands.change import compact, delete, reindex
from indexer.commands.defaults import defaults
from indexer.commands.look import doctor, export, info, show, verify
from search.commands.demo import demo
from search.commands.key import key
from search.commands.search import search
from search.commands.serve import serve
from training.commands.bench import bench_pretrain
from training.commands.bench_biencoder import bench_biencoder
from training.commands.biencoder import biencoder
from training.commands.crossencoder import crossencoder
from training.commands.distill import distill
from training.commands.mine import mine
from training.commands.pretrain import pretrain
from training.commands.probe import fill, probe
from training.commands.supervise import pairs
from training.commands.tokenizer import train

if TYPE_CHECKING:
    from indexer.creation import Settings
    from indexer.documents import Document
    from indexer.errors import ClozeError
    from search.index import Index

__all__ = ["ClozeError", "Document", "Index", "Settings", "app", "main"]

app = typer.Typer(
    name="cloze",
    help="A search engine with BERT inside: index a corpus, search it, measure it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    index, search, serve, delete, compact, reindex, defaults, show, export, info, verify, backup,
    restore, doctor, demo,
):  # fmt: skip
    app.command()(command)
app.command("eval")(evaluate)
for evaluation in (compare, tune, judge, reproduce):
    app.command()(evaluation)
for training in (pretrain, probe, fill, mine):
    app.command()(training)
app.add_typer(collection, name="collection")
app.add_typer(key, name="key")
bench.command("pretrain")(bench_pretrain)
bench.command("biencoder")(bench_biencoder)
train.command("pairs")(pairs)
train.command()(distill)
train.command("biencoder")(biencoder)
train.command("crossencoder")(crossencoder)
app.add_typer(bench, name="bench")
app.add_typer(train, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"cloze {version('cloze-search')}")
        raise typer.Exit


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    if debug:
        os.environ["CLOZE_DEBUG"] = "1"


class _StoppedError(BaseException):
    """Ctrl-C, as an exception that no library turns into something else."""


def _stop(number: int, frame: object) -> None:
    raise _StoppedError


def main() -> None:
    """Run the command line; a mistake of the user's is one line and exit 2, one of ours exit 1."""
    from indexer.errors import ClozeError, DamagedIndexError

    signal.signal(signal.SIGINT, _stop)
    try:
        app()
    except DamagedIndexError as error:
        # What can't be read for want of files or memory may be sound.
        _fail(error, _refused(error) or str(error), error.exit_code)
    except ClozeError as error:
        _fail(error, str(error), error.exit_code)
    except _StoppedError as error:
        _fail(error, "stopped; what was acknowledged is kept, the same command continues", 130)
    except BrokenPipeError:
        # The reader of our output has left; nothing more may be written, by Python's exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except UnicodeEncodeError as error:
        _fail(error, "an argument is not valid UTF-8; mend it and run this again", 2)
    except OSError as error:
        told = _refused(error) or f"{error.filename or 'the system'}: {error.strerror or error}"
        _fail(error, told, 1)
    except Exception as error:
        _fail(error, _refused(error) or _unexpected(error), 1)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what a library in Rust ends with
            raise
        _fail(error, _refused(error) or _unexpected(error), 1)


def _refused(error: BaseException) -> str | None:
    """Tell what the system refused, and of which file where that is known."""
    from indexer.refusals import advice, refusal

    number = refusal(error)
    if number is None:
        return None
    place = getattr(error, "filename", None)
    return f"{place}: {advice(number)}" if place else advice(number)


def _unexpected(error: BaseException) -> str:
    import sqlite3

    if isinstance(error, sqlite3.OperationalError):
        return f"the index's store can't be used now ({error}); mend that and run this again"
    if isinstance(error, sqlite3.DatabaseError):
        return f"the index's store is damaged ({error}); see: cloze verify INDEX"
    return f"an error of ours, {type(error).__name__}: {error}; --debug shows where"


def _fail(error: BaseException, message: str, code: int) -> None:
    if os.environ.get("CLOZE_DEBUG"):
        raise error
    sys.stderr.write(f"cloze: {message}\n")
    sys.exit(code)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes have any type
    """Give the library's names without loading it for the command line's help."""
    if name == "Index":
        from search.index import Index

        return Index
    if name == "Settings":
        from indexer.creation import Settings

        return Settings
    if name == "ClozeError":
        from indexer.errors import ClozeError

        return ClozeError
    if name == "Document":
        from indexer.documents import Document

        return Document
    raise AttributeError(f"module 'cloze' has no attribute {name!r}")


if __name__ == "__main__":
    main()

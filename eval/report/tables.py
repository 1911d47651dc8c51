"""The table of an experiment for a terminal, for Markdown and for LaTeX."""

import re
from collections.abc import Sequence
from itertools import groupby

from rich.cells import cell_len

from eval.report.columns import MARK, Column, best_rows, columns
from eval.report.notation import elide, fixed, judged_on, plural, printable
from eval.report.verdict import is_significant, ordered, remarks, test_note
from eval.results import Experiment, SystemResult

WIDTH = 110  # columns of a terminal
_MARKDOWN = re.compile(r"([\\`*_\[\]#|~$])")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}",
    "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": "{-}", "–": "--", "…": r"\dots{}",
    "[": "{[}", "*": "{*}",  # or a row that begins with one is read as options of the \\ before
}  # fmt: skip


def text_table(experiment: Experiment) -> str:
    """Write the table for a terminal, at most `WIDTH` columns wide.

    Columns that don't fit go into a further block below, which names the systems again.
    """
    names = Column(group="", title="system", cells=tuple(_names(experiment)))
    blocks = _blocks(names, columns(experiment))
    lines = ["\n".join(_lines([names, *block])) for block in blocks]
    notes = list(remarks(experiment))
    if note := test_note(experiment):
        notes.insert(0, f"{MARK} {note}")
    return "\n\n".join([_caption(experiment), *lines, *(["\n".join(notes)] if notes else [])])


def _caption(experiment: Experiment) -> str:
    queries = plural(len(experiment.queries), "query", "queries")
    compared = f", baseline {printable(experiment.baseline)}" if len(experiment.systems) > 1 else ""
    return f"{judged_on(experiment.collection, experiment.split)}: {queries}{compared}"


def _names(experiment: Experiment) -> list[str]:
    """Names as long as fits; whole where two would look the same."""
    whole = [printable(system.name) for system in ordered(experiment)]
    short = [elide(name) for name in whole]
    return short if len(set(short)) == len(set(whole)) else whole


def _width(column: Column) -> int:
    return max(cell_len(text) for text in (column.title, *column.cells))


def _blocks(names: Column, rest: Sequence[Column]) -> list[list[Column]]:
    """Fill blocks with groups of columns; a group that doesn't fit begins the next block."""
    blocks: list[list[Column]] = [[]]
    left = WIDTH - _width(names)
    for _, group in groupby(rest, lambda each: each.group):
        columns_of_group = list(group)
        if sum(map(_taken, columns_of_group)) > left and blocks[-1]:
            blocks.append([])
            left = WIDTH - _width(names)
        for column in columns_of_group:
            left -= _taken(column)
            if left < 0 and blocks[-1]:
                blocks.append([])
                left = WIDTH - _width(names) - _taken(column)
            blocks[-1].append(column)
    return blocks


def _taken(column: Column) -> int:
    return _width(column) + 2


def _lines(block: Sequence[Column]) -> list[str]:
    """Set the first column flush left and the others flush right, a rule below their titles."""
    widths = [_width(column) for column in block]
    rows = [[column.title for column in block], ["─" * width for width in widths]]
    rows += [list(row) for row in zip(*(column.cells for column in block), strict=True)]
    return ["  ".join(map(_pad, row, widths, range(len(row)))).rstrip() for row in rows]


def _pad(text: str, width: int, place: int) -> str:
    space = " " * (width - cell_len(text))
    return space + text if place else text + space


def markdown_table(experiment: Experiment) -> str:
    """Write the table as Markdown: the best in bold, what may be markup in a name escaped."""
    all_columns = columns(experiment)
    header = ["system", *(_escape_markdown(column.title) for column in all_columns)]
    rows = [header, [":--", *("--:" for _ in all_columns)]]
    for row, system in enumerate(ordered(experiment)):
        cells = [_markdown_cell(column, row) for column in all_columns]
        rows.append([_escape_markdown(system.name), *cells])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    notes = [_escape_markdown(each) for each in remarks(experiment)]
    if note := test_note(experiment):
        notes.insert(0, f"\\{MARK} {_escape_markdown(note)}")
    caption = _escape_markdown(_caption(experiment))
    return "\n\n".join([caption, table, *notes]) + "\n"


def _markdown_cell(column: Column, row: int) -> str:
    text = column.cells[row].strip().replace(MARK, f"\\{MARK}").replace("<", "&lt;")
    return f"**{text}**" if row in column.best else text


def _escape_markdown(text: str) -> str:
    text = _MARKDOWN.sub(r"\\\1", printable(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def latex_table(experiment: Experiment) -> str:
    """Write the table for LaTeX with the package booktabs: the best in bold, † better, ‡ worse."""
    titles = " & ".join(escape_latex(measure) for measure in experiment.measures)
    rows = [
        " & ".join([escape_latex(system.name), *_latex_cells(experiment, row, system)]) + r" \\"
        for row, system in enumerate(ordered(experiment))
    ]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_latex_caption(experiment)}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(experiment.measures)}}}",
            r"    \toprule",
            rf"    system & {titles} \\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_cells(experiment: Experiment, row: int, system: SystemResult) -> list[str]:
    return [
        _latex_cell(system, measure, best=row in best_rows(experiment, measure))
        for measure in experiment.measures
    ]


def _latex_cell(system: SystemResult, measure: str, *, best: bool) -> str:
    text = fixed(system.means[measure])
    if best:
        text = rf"\textbf{{{text}}}"
    comparison = system.comparisons.get(measure)
    if comparison is None or not is_significant(comparison):
        return text
    # The mark takes no room, so that the decimals stay below each other.
    mark = r"\dagger" if comparison.difference > 0 else r"\ddagger"
    return rf"{text}\rlap{{$^{mark}$}}"


def _latex_caption(experiment: Experiment) -> str:
    caption = escape_latex(_caption(experiment)) + "."
    if not test_note(experiment):
        return caption
    return (
        rf"{caption} Best in bold; $\dagger$ better and $\ddagger$ worse than the baseline "
        r"($p < .05$, paired randomisation test, Holm-corrected over the systems "
        r"for each measure by itself)."
    )


def escape_latex(text: str) -> str:
    """Write a text so that LaTeX prints it as it is."""
    return "".join(_LATEX.get(character, character) for character in printable(text))

"""The model card of a bi-encoder's run, from the run's facts alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.biencoder.plan import Plan
from training.card import table_rows
from training.finetuning.material import Material
from training.finetuning.validation import MEASURE
from training.loop.journal import PICTURE

if TYPE_CHECKING:
    from transformers import BertConfig

_TEMPLATE = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
- bert
base_model: {base}
---

# {name}

A sentence encoder, fine-tuned with cloze from {from_}: {layers} layers of {hidden}, {parameters} \
parameters, {pooling} pooling, vectors of {hidden} dimensions and unit length.{cut}

It learned from {examples} queries of {pairs} with the loss {loss}, in {steps} steps, {minutes} \
minutes of training; {held_out} more queries were held out. The weights are those after step \
{best_step}, which ranked these best.

```console
$ {command}
```

| {measure} of queries held out | before | after |
|---|---|---|
{figures}

![The loss while training]({picture})

## Settings

| | |
|---|---|
{settings}

## Use

```python
from sentence_transformers import SentenceTransformer

SentenceTransformer("{name}").encode(["a query", "a passage"])
```

```console
$ cloze index INDEX CORPUS --model {name}
```

The pairs that it learned from decide what it finds alike; it was not examined for bias.
"""
_CUT = """ They may be cut to their first {dims} dimensions, for which it was trained too: give \
what is left unit length again."""


def write_card(
    folder: Path, config: "BertConfig", *, plan: Plan, material: Material, command: str,
    settings: Mapping[str, Any], result: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write README.md from a run's model, plan, pairs, settings and result."""
    cut = [str(each) for each in plan.dims if each < config.hidden_size]
    text = _TEMPLATE.format(
        base=json.dumps(plan.base),  # a string of JSON is one of YAML
        from_=plan.base,
        name=folder.resolve().name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        parameters=f"{result['parameters']:,}",
        pooling=settings["--pooling"],
        cut=_CUT.format(dims=" or ".join(cut)) if cut else "",
        examples=f"{result['examples']:,}",
        held_out=f"{result['examples_held_out']:,}",
        pairs=", ".join(file.name for file in material.pairs.report.files),
        loss=plan.loss,
        steps=f"{result['steps']:,}",
        minutes=f"{result['seconds'] / 60:.1f}",
        best_step=f"{result['best_step']:,}",
        command=command,
        measure=MEASURE,
        figures=_figures(result),
        settings=table_rows(
            {name: value for name, value in settings.items() if value is not None}
            | {"--from": f"{plan.base} ({settings['--from']})"}
        ),
        picture=PICTURE,
    )
    (folder / "README.md").write_text(text)


def _figures(result: Mapping[str, Any]) -> str:
    before = result["before"]
    return "\n".join(
        f"| {name} | {before[name]:.4f} | {value:.4f} |"
        for name, value in result["held_out"].items()
    )

"""The model card of a cross-encoder's run, from the run's facts alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.runtime.probability import NAME
from training.card import table_rows
from training.crossencoder.plan import Plan
from training.crossencoder.validation import PLACES
from training.finetuning.material import Material
from training.finetuning.validation import MEASURE
from training.loop.journal import PICTURE
from training.reliability import PICTURE as RELIABILITY

if TYPE_CHECKING:
    from transformers import BertConfig

_TEMPLATE = """---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags:
- sentence-transformers
- cross-encoder
- reranker
- bert
base_model: {base}
---

# {name}

A cross-encoder, fine-tuned with cloze from {from_}: {layers} layers of {hidden}, {parameters} \
parameters. It reads `[CLS] query [SEP] passage [SEP]` and gives one score, higher for passages \
that answer the query.

It learned from {examples} queries of {pairs} with the loss {loss}, in {steps} steps, {minutes} \
minutes of training; {held_out} more queries were held out. The weights are those after step \
{best_step}, which put the lists of these in the best order.

```console
$ {command}
```

| {measure} of held-out lists of up to {places} | before | after |
|---|---|---|
{figures}

![The loss while training]({picture})

{calibration}

## Settings

| | |
|---|---|
{settings}

## Use

```python
from sentence_transformers import CrossEncoder

CrossEncoder("{name}").predict([("a query", "a passage")])
```

```console
$ cloze search INDEX QUERY --rerank {name}
```

The pairs that it learned from decide what it finds relevant; it was not examined for bias.
"""
_CALIBRATED = """## Probability

`{file}` turns a score into the probability that the passage is relevant: {method}, fitted on \
{pairs} held-out pairs, of which {prior:.1%} are relevant. Where fewer or more are, as in most \
searches, the probability is too high or too low.

| on pairs that the curve was not fitted on | expected calibration error | Brier score |
|---|---|---|
{rows}

![Probability against relevance]({picture})"""
_UNCALIBRATED = "There were too few held-out queries to calibrate probabilities on."


def write_card(
    folder: Path, config: "BertConfig", *, plan: Plan, material: Material, command: str,
    settings: Mapping[str, Any], result: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write README.md from a run's model, plan, pairs, settings and result."""
    text = _TEMPLATE.format(
        base=json.dumps(plan.base),  # a string of JSON is one of YAML
        from_=plan.base,
        name=folder.resolve().name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        parameters=f"{result['parameters']:,}",
        examples=f"{result['examples']:,}",
        held_out=f"{result['examples_held_out']:,}",
        pairs=", ".join(file.name for file in material.pairs.report.files),
        loss=plan.loss,
        steps=f"{result['steps']:,}",
        minutes=f"{result['seconds'] / 60:.1f}",
        best_step=f"{result['best_step']:,}",
        command=command,
        measure=MEASURE,
        places=PLACES,
        figures=_figures(result),
        picture=PICTURE,
        calibration=_calibration(result["calibration"]),
        settings=table_rows(
            {name: value for name, value in settings.items() if value is not None}
            | {"--from": f"{plan.base} ({settings['--from']})"}
        ),
    )
    (folder / "README.md").write_text(text)


def _figures(result: Mapping[str, Any]) -> str:
    before = result["before"]
    return "\n".join(
        f"| {name} | {before[name]:.4f} | {value:.4f} |"
        for name, value in result["held_out"].items()
    )


def _calibration(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return _UNCALIBRATED
    kinds = {"before: sigmoid of the score": found["before"], **found["after"]}
    rows = [f"| {name} | {each['ece']:.4f} | {each['brier']:.4f} |" for name, each in kinds.items()]
    return _CALIBRATED.format(
        file=NAME, method=found["method"], pairs=f"{found['pairs']:,}", prior=found["prior"],
        rows="\n".join(rows), picture=RELIABILITY,
    )  # fmt: skip

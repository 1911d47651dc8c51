"""The model card of a student, from its run's facts alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.card import table_rows
from training.distillation.plan import Plan
from training.distillation.task import FIGURE
from training.loop.journal import PICTURE

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

A sentence encoder of {layers} layers, distilled with cloze from the {teacher_layers} of {teacher} \
on {texts}, in {steps} steps and {minutes} minutes of training. On texts held out its vectors and \
its teacher's have a cosine of {agreement:.4f} in the mean.

| | layers | parameters | texts a second while training |
|---|---|---|---|
{sizes}

```console
$ {command}
```

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

It takes over what its teacher finds alike; it was not examined for bias.
"""


def write_card(
    folder: Path, plan: Plan, command: str, settings: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """Write README.md from a run's plan, settings and result."""
    sizes = [
        f"| {name} | {each['layers']} | {each['parameters']:,} | {each['texts_per_second']:,} |"
        for name, each in (("teacher", result["teacher"]), ("student", result["student"]))
    ]
    text = _TEMPLATE.format(
        base=json.dumps(plan.teacher),  # a string of JSON is one of YAML
        name=folder.resolve().name,
        layers=result["student"]["layers"],
        teacher_layers=result["teacher"]["layers"],
        teacher=plan.teacher,
        texts=", ".join(Path(each).name for each in plan.texts),
        steps=f"{result['steps']:,}",
        minutes=f"{result['seconds'] / 60:.1f}",
        agreement=result["held_out"][FIGURE],
        sizes="\n".join(sizes),
        command=command,
        picture=PICTURE,
        settings=table_rows({**settings, "MODEL": f"{plan.teacher} ({settings['MODEL']})"}),
    )
    (folder / "README.md").write_text(text)

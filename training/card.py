"""The model card of a pretraining run, from the run's facts alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.loop.journal import PICTURE

if TYPE_CHECKING:
    from transformers import BertConfig

_TEMPLATE = """---
library_name: transformers
pipeline_tag: fill-mask
tags:
- bert
- masked-language-modeling
---

# {name}

A BERT encoder pretrained with cloze: {layers} layers of {hidden}, {parameters} parameters, a \
vocabulary of {vocabulary}, texts of up to {positions} tokens.

It was trained on {documents} documents ({tokens} tokens) and saw {seen} tokens in {steps} steps, \
{minutes} minutes of training.

| held out, 15% of the tokens masked | |
|---|---|
{figures}

![The loss while training]({picture})

## Settings

| | |
|---|---|
{settings}

## Use

```python
from transformers import AutoModel, AutoTokenizer, pipeline

pipeline("fill-mask", "{name}")("the cat [MASK] on the mat")
AutoModel.from_pretrained("{name}")
```

The text that it learned from decides what it knows and what it takes for granted; it was not \
examined for bias.
"""


def write_card(
    folder: Path, config: "BertConfig", settings: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """Write README.md from a run's model, settings and result."""
    text = _TEMPLATE.format(
        name=folder.resolve().name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        vocabulary=f"{config.vocab_size:,}",
        positions=config.max_position_embeddings,
        parameters=f"{result['parameters']:,}",
        documents=f"{result['documents']:,}",
        tokens=f"{result['text_tokens']:,}",
        seen=f"{result['tokens']:,}",
        steps=f"{result['steps']:,}",
        minutes=f"{result['seconds'] / 60:.1f}",
        figures=_rows(result["held_out"]),
        settings=_rows(settings),
        picture=PICTURE,
    )
    (folder / "README.md").write_text(text)


def _rows(values: Mapping[str, Any]) -> str:
    return "\n".join(f"| {name} | {_shown(value)} |" for name, value in values.items())


def _shown(value: Any) -> str:  # noqa: ANN401 - a setting is of any type
    return f"{value:.4g}" if isinstance(value, float) else str(value)

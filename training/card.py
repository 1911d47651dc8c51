"""The model card of a pretraining run, from the run's facts alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
{base}---

# {name}

A BERT encoder pretrained with cloze, {begin}: {layers} layers of {hidden}, {parameters} \
parameters, a vocabulary of {vocabulary}, texts of up to {positions} tokens.

It was trained on {documents} documents ({tokens} tokens) of {texts} and saw {seen} tokens in \
{steps} steps, {minutes} minutes of training. {held_out} more documents were held out.

```console
$ {command}
```

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whence a model comes, by the names that the user gave; `base` is the checkpoint gone on from.

    `command` is the command line that made it.
    """

    texts: tuple[str, ...]
    tokenizer: str
    base: str | None
    command: str


def write_card(
    folder: Path, config: "BertConfig", origin: Origin, settings: Mapping[str, Any],
    result: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write README.md from a run's model, origin, settings and result."""
    texts = ", ".join(origin.texts)
    named = {"text": texts, "--tokenizer": origin.tokenizer, "--arch": origin.base}
    text = _TEMPLATE.format(
        # A string of JSON is one of YAML.
        base=f"base_model: {json.dumps(origin.base)}\n" if origin.base else "",
        begin=f"on from {origin.base}" if origin.base else "from nothing",
        texts=texts,
        held_out=f"{result['documents_held_out']:,}",
        command=origin.command,
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
        figures=table_rows(result["held_out"]),
        settings=table_rows(
            {
                name: f"{named[name]} ({value})" if named.get(name) else value
                for name, value in settings.items()
            }
        ),
        picture=PICTURE,
    )
    (folder / "README.md").write_text(text)


def table_rows(values: Mapping[str, Any]) -> str:
    """Write names and values as the rows of a table in Markdown."""
    return "\n".join(f"| {name} | {_shown(value)} |" for name, value in values.items())


def _shown(value: Any) -> str:  # noqa: ANN401 - a setting is of any type
    return f"{value:.4g}" if isinstance(value, float) else str(value)

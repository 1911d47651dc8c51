"""Whether text is worth training on: enough of it, and in words that the tokenizer knows."""

import numpy as np

from indexer.errors import ClozeError
from training.masking.vocabulary import Vocabulary
from training.shards.shards import Shards

# Published vocabularies leave less than 1% of their languages' tokens unknown; of a language whose
# letters they lack, nearly all.
_MOST_UNKNOWN = 0.2
_SAMPLE_RUNS = 1000
_SAMPLE_ROOM = 256


def check_enough(shards: Shards, vocabulary: Vocabulary, batch_tokens: int) -> None:
    """Check that what there is to train on fills a batch, and that most of its tokens are words.

    The second is judged by up to 256,000 tokens, spread evenly.

    Raises:
        ClozeError: it doesn't, or more than a fifth is [UNK] or another special token.
    """
    runs = shards.runs(_SAMPLE_ROOM)
    if runs.tokens < batch_tokens:
        raise ClozeError(
            f"the text to train on is {runs.tokens} tokens and --batch-tokens {batch_tokens}: one "
            "step would read it more than once; give more text or fewer tokens"
        )
    numbers = np.unique(np.linspace(0, len(runs) - 1, _SAMPLE_RUNS).astype(np.int64))
    ids = np.concatenate([runs[number].ids for number in numbers.tolist()])
    unknown = float(vocabulary.special[ids].mean())
    if unknown > _MOST_UNKNOWN:
        raise ClozeError(
            f"{unknown:.0%} of the text's tokens are [UNK] or special, and at most "
            f"{_MOST_UNKNOWN:.0%} are of use: the tokenizer doesn't fit the text, or the text has "
            "no words; train a tokenizer on it with cloze train tokenizer"
        )

"""The tokenizer: WordPiece learned from text, saved as Hugging Face's fast tokenizers are."""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from indexer.errors import ClozeError
from training.alphabet import CharacterCounts, choose_alphabet, continues_word
from training.held_out import text_hash, threshold_of
from training.text import Advance, Texts, cut

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_LENGTH = 512
SAMPLE = 1000
_HELD_OUT = 0.01
_LEAST_PAIRS = 2  # pairs of pieces that came once aren't merged


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTokenizer:
    """A tokenizer without truncation or padding, the size of its vocabulary, its file's sha256."""

    tokenizer: Tokenizer
    size: int
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A tokenizer and up to `SAMPLE` documents to measure it on.

    The vocabulary was learned without these, unless `sample_seen`: the text is one document.
    """

    tokenizer: Tokenizer
    sample: list[str]
    sample_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """What a first pass over the text found."""

    characters: CharacterCounts
    threshold: int | None
    sample: list[str]


def open_tokenizer(folder: Path) -> OpenTokenizer:
    """Open a Hugging Face fast tokenizer.

    Raises:
        ClozeError: the folder has no tokenizer.json, or it can't be read as one.
    """
    path = folder / "tokenizer.json"
    try:
        content = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(content)
    except OSError as error:
        raise ClozeError(
            f"{folder} is no tokenizer: {path} can't be read ({error.strerror}); name a folder "
            "that cloze train tokenizer wrote, or a checkpoint's"
        ) from None
    except Exception as error:  # the library raises bare Exceptions
        raise ClozeError(
            f"{folder} is no tokenizer: {path} is damaged ({error}); train or fetch it again"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return OpenTokenizer(
        tokenizer=tokenizer,
        size=max(tokenizer.get_vocab().values(), default=-1) + 1,
        content_hash=hashlib.sha256(content).hexdigest(),
    )


def train_tokenizer(
    open_texts: Callable[[], Texts], vocabulary: int, *, cased: bool, progress: Advance
) -> Trained:
    """Learn a WordPiece vocabulary of at most so many pieces, special ones included.

    The text is read twice: for its characters and the documents held out, then for its words. The
    same text gives the same tokenizer. `progress` hears of documents.

    Raises:
        ClozeError: the text can't be read or is empty, or the vocabulary is too small for its
            characters.
    """
    tokenizer = _bert_tokenizer({}, cased=cased)
    survey = _survey(open_texts(), progress)
    alphabet = choose_alphabet(survey.characters.normalised(tokenizer))
    inner = [f"##{each}" for each in alphabet if continues_word(each, tokenizer)]
    least = len(SPECIAL) + len(alphabet) + len(inner)
    if vocabulary < least:
        raise ClozeError(
            f"a vocabulary of {vocabulary} is too small: {len(SPECIAL)} special tokens and the "
            f"characters of this text alone are {least} pieces; give {least} or more"
        )
    trainer = WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=_LEAST_PAIRS,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        # Listed here, the inner characters get their ids in this order, and not in that of a hash
        # map, which would decide between pairs equally frequent.
        special_tokens=[*SPECIAL, *inner],
        show_progress=False,
    )
    words = _training_texts(open_texts(), survey.threshold, progress)
    tokenizer.train_from_iterator(words, trainer)
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    pieces = dict.fromkeys([*SPECIAL, *alphabet, *inner, *(piece for piece, _ in learned)])
    return Trained(
        tokenizer=_bert_tokenizer({piece: n for n, piece in enumerate(pieces)}, cased=cased),
        sample=survey.sample,
        sample_seen=survey.threshold is None,
    )


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, cased: bool) -> None:
    """Write the files by which transformers' AutoTokenizer finds a fast BertTokenizer."""
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config = {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": MAX_LENGTH,
        "do_lower_case": not cased,
        "strip_accents": not cased,
        "tokenize_chinese_chars": True,
        **dict(zip(names, SPECIAL, strict=True)),
    }
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces))


def _survey(texts: Texts, progress: Advance) -> _Survey:
    characters = CharacterCounts()
    sample: list[tuple[int, str]] = []  # a heap of negated hashes: the greatest is in front
    least, greatest = 2**64, -1
    for number, text in enumerate(texts, 1):
        characters.add(text)
        hashed = text_hash(text)
        if text.strip():
            least, greatest = min(least, hashed), max(greatest, hashed)
            _keep(sample, hashed, text)
        progress(number, _half(texts, 0))
    if not sample:
        raise ClozeError(f"there is no text in {texts.describe()}; give files that hold some")
    threshold = threshold_of(least, greatest, _HELD_OUT)
    kept = sorted((-key, text) for key, text in sample)
    return _Survey(
        characters=characters,
        threshold=threshold,
        sample=[text for hashed, text in kept if threshold is None or hashed < threshold],
    )


def _keep(sample: list[tuple[int, str]], hashed: int, text: str) -> None:
    """Keep the text's beginning while its hash is among the `SAMPLE` least."""
    if len(sample) < SAMPLE:
        heapq.heappush(sample, (-hashed, next(cut(text))))
    elif -hashed > sample[0][0]:
        heapq.heapreplace(sample, (-hashed, next(cut(text))))


def _training_texts(texts: Texts, threshold: int | None, progress: Advance) -> Iterator[str]:
    """Yield the documents that aren't held out, long ones in parts: the library gathers many."""
    for number, text in enumerate(texts, 1):
        if threshold is None or text_hash(text) >= threshold:
            yield from cut(text)
        progress(number, _half(texts, 1))


def _half(texts: Texts, done: int) -> float | None:
    share = texts.position()
    return None if share is None else (done + share) / 2


def _bert_tokenizer(vocabulary: dict[str, int], *, cased: bool) -> Tokenizer:
    """Return BERT's tokenizer over a vocabulary; an empty one is to be trained."""
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=not cased, lowercase=not cased
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if vocabulary:
        tokenizer.add_special_tokens(list(SPECIAL))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
        )
    return tokenizer

"""What every floor's tests share: settings, a tiny model, real data where it is, a command line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before any library that reads it is imported, here and in every process that a test starts.
os.environ["HF_HUB_OFFLINE"] = "1"

from indexer.runtime.precision import has

# One that needs no quantisation: what auto chooses has tests of its own.
os.environ["CLOZE_PRECISION"] = "bf16" if has("bf16", "cpu") else "fp32"

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from indexer.documents import Document

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "cloze",
    derandomize=True,
    deadline=None,
    database=None,
    # A function's fixture that examples share is theirs to keep clean.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("cloze")

# Words of the tiny model; all else it reads character by character.
WORDS = (
    "a about above after air all an and animal any are as at be bear big bird black blue boat book "
    "boundary box boy bread bright brown but by call can car cat cell cloud cold color could cow "
    "day deep did do dog door down duck each earth eat engine fall far fast find fire first fish "
    "flow food for form found fox free from garden get girl glass go gold good grass great green "
    "had hand has have he heat her here high him his hot house how i if in is it jump king know "
    "laminar lake land large last lazy leaf letter life light like line little live long look low "
    "machine made make man many may me men moon more most mountain must my name near new night no "
    "north not now ocean of off old on one open or other our out over own paper part people place "
    "plane plate play point quick quiet rain red river road rock round run sand say sea see she "
    "shell ship shock short show side silver sky sleep slow small snow so some song sound south "
    "space speed star stone stop story street sun supersonic table take tell that the their them "
    "then there they thing think this time to tree turn two under up upon us use very walk wall "
    "want warm was watch water wave way we well were west what wheel when where which white who "
    "will wind window wing winter wood word work world would write year yellow you young your"
).split()
CHINESE = "用搜索引擎向量文本中国人天地水火山风雨日月星海大小上下来去好学生年本书东西南北"
_MODULES = {"Transformer": "", "Pooling": "1_Pooling"}
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

Cloze = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def cloze_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The caches of this session, for this process and those that it starts."""
    home = tmp_path_factory.mktemp("cloze-home")
    (home / "converted").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOZE_HOME", str(home))
        yield home


@pytest.fixture
def own_home(cloze_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caches of one test, which may damage them, with the models converted so far."""
    home = tmp_path / "home"
    shutil.copytree(cloze_home / "converted", home / "converted")
    monkeypatch.setenv("CLOZE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Make a random two-layer BERT of 64 dimensions and 64 positions, by its seed."""

    def make(seed: int) -> Path:
        folder = tmp_path_factory.mktemp(f"model-{seed}")
        tokens = _write_tokenizer(folder)
        _write_bert(folder, tokens, seed)
        return folder

    return make


def _write_tokenizer(folder: Path) -> int:
    """Write tokenizer.json, and return the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [
        *SPECIAL, *WORDS, *characters, *(f"##{each}" for each in characters),
        *("##s", "##ing", "##ed", "##er"), *CHINESE, *".,;:!?'\"()-。！？，",
    ]  # fmt: skip
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizerFast", "model_max_length": 64})
    )
    return len(vocabulary)


def _write_bert(folder: Path, tokens: int, seed: int) -> None:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    # Wide weights, so that the vectors of different texts lie far apart.
    config = BertConfig(
        vocab_size=tokens, hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=64, initializer_range=0.4,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_model(make_model: Callable[[int], Path]) -> Path:
    """A random checkpoint, converted once into the session's cache."""
    from indexer.encoder import Encoder
    from indexer.models import find_model

    folder = make_model(1)
    Encoder(find_model(str(folder)))
    return folder


@pytest.fixture(scope="session")
def other_model(make_model: Callable[[int], Path]) -> Path:
    """Another one, in sentence-transformers layout: prompts, max pooling, not normalised."""
    from indexer.encoder import Encoder
    from indexer.models import find_model

    folder = make_model(2)
    modules = [{"type": f"models.{kind}", "path": path} for kind, path in _MODULES.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    prompts = {"prompts": {"query": "find ", "document": "text: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    Encoder(find_model(str(folder)))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public collections: `CLOZE_TEST_DATA`, else one beside the repository."""
    folder = Path(os.environ.get("CLOZE_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "collections").is_dir():
        pytest.skip(f"no public collections in {folder}; name their folder in CLOZE_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def cloze() -> Cloze:
    """Run the command line in a process of its own."""

    def run(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(ROOT / "cloze.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]

    return run


@pytest.fixture(scope="session")
def documents() -> "list[Document]":
    """Documents of the tiny model's words: some without text, some equal, some in Chinese."""
    import random

    from indexer.documents import Document

    choose = random.Random(0)

    def sentence() -> str:
        return " ".join(choose.choices(WORDS, k=choose.randint(3, 14))).capitalize() + "."

    made = []
    for number in range(160):
        text = " ".join(sentence() for _ in range(choose.choice([1, 2, 3, 12])))
        if number % 8 == 3:
            text = "".join(choose.choices(CHINESE, k=20)) + "。" + text
        title = " ".join(choose.choices(WORDS, k=number % 4))
        metadata = {"year": 1990 + number % 30, "lang": "zh" if number % 8 == 3 else "en"}
        made.append(Document(id=f"d{number}", title=title, text=text, metadata=metadata))
    for number in (19, 20, 21, 22):
        made[number] = Document(id=f"d{number}", text="A lazy bear was quiet by the garden wall.")
    made[30] = Document(id="only a title", title="the supersonic ship", text="")
    made[31] = Document(id="nothing", text=" ")
    return made


@pytest.fixture(scope="session")
def corpus_file(documents: "list[Document]", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents as a file of JSON lines."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    lines = [
        {"_id": d.id, "title": d.title, "text": d.text, "metadata": d.metadata} for d in documents
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path

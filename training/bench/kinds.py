"""Where a step's time goes, by kind of operation, as torch's profiler sees it."""

from collections.abc import Sequence

from torch.profiler import ProfilerActivity, profile

from training.bench.ours import run_until
from training.loop.meter import Glance
from training.pretraining import Pretraining

# The first steps make the optimiser's state.
_WARM_UP = 3
_STEPS = 5
_PRODUCTS = "products in the layers"
_VOCABULARY = "products with the vocabulary"
_OTHER = "other"
# How torch's names of operations begin; the first that fits counts.
_KINDS = {
    _PRODUCTS: ("aten::mm", "aten::addmm", "aten::linear", "aten::matmul", "mkldnn::"),
    "products in attention": ("aten::bmm", "aten::baddbmm"),
    "softmax": ("aten::softmax", "aten::_softmax", "aten::_log_softmax"),
    "norms": ("aten::layer_norm", "aten::native_layer_norm"),
    "GELU": ("aten::gelu",),
    "optimiser and clipping": (
        "aten::_fused_adamw", "aten::_foreach", "aten::linalg_vector_norm", "Optimizer.",
    ),
    "embeddings and indexing": ("aten::embedding", "aten::index", "aten::_index", "aten::masked"),
    "casts and copies": (
        "aten::copy_", "aten::_to_copy", "aten::to", "aten::clone", "aten::contiguous",
        "aten::empty", "aten::fill_", "aten::zero",
    ),
    "elementwise and sums": (
        "aten::add", "aten::mul", "aten::sub", "aten::div", "aten::sum", "aten::ne", "aten::eq",
        "aten::tanh",
    ),
}  # fmt: skip


def profile_steps(task: Pretraining, rate: float, vocabulary: int) -> dict[str, float]:
    """Train a few steps, and return each kind's share of the time in operations, largest first.

    Data made ahead in another thread don't count, nor does Python between operations.
    """
    profiler = profile(activities=[ProfilerActivity.CPU], record_shapes=True)

    def is_over(glance: Glance) -> bool:
        if glance.step == _WARM_UP:
            profiler.start()
        elif glance.step == _WARM_UP + _STEPS:
            profiler.stop()
        return glance.step == _WARM_UP + _STEPS

    run_until(task, rate, is_over)
    times: dict[str, float] = {}
    for event in profiler.key_averages(group_by_input_shape=True):
        kind = kind_of(event.key, event.input_shapes, vocabulary)
        times[kind] = times.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(times.values())
    ranked = sorted(times.items(), key=lambda item: -item[1])
    return {kind: round(time / total, 4) for kind, time in ranked}


def kind_of(name: str, shapes: Sequence[Sequence[int]], vocabulary: int) -> str:
    """Return the kind of an operation by its name, and of a product by its inputs' shapes."""
    kind = next((kind for kind, begins in _KINDS.items() if name.startswith(begins)), _OTHER)
    if kind == _PRODUCTS and any(vocabulary in shape for shape in shapes):
        return _VOCABULARY
    return kind

"""The machine's measured matrix peak: the fastest product of a model's own sizes, by number format.

It is what a forward pass of nothing but such products would reach, whoever computes them.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops

from indexer.runtime.precision import Precision, has

ROWS = 2048
_WARM_UP = 3
_TIMES = 100
# Steps of 8-bit inputs; the values themselves don't matter for the time.
_STEPS = 256
_RANGE = 4.0
# How the names begin that OpenVINO gives linear layers: integer ones have more behind it.
_NODE = "FullyConnected"


def measure_peaks(inner: int, outer: int, threads: int) -> dict[Precision, dict[str, float]]:
    """Multiply [2048, inner] by [inner, outer] in every format that the processor has.

    Returns:
        Billions of operations a second by way, the best of 100: torch and OpenVINO with all threads
        on one product, and OpenVINO with a product on each thread. OpenVINO's times are those of
        the product alone, by its own profile, so that turning numbers into 8 or 16 bits isn't
        counted.
    """
    torch.set_num_threads(threads)
    formats: list[Precision] = ["fp32", "int8"]
    if has("bf16", "cpu"):
        formats.insert(1, "bf16")
    return {
        precision: {
            "torch": _torch(precision, inner, outer),
            "openvino": _openvino(precision, inner, outer, threads, streams=1),
            "openvino_streams": _openvino(precision, inner, outer, threads, streams=threads),
        }
        for precision in formats
    }


def _torch(precision: Precision, inner: int, outer: int) -> float:
    rng = np.random.default_rng(0)
    left = torch.from_numpy(rng.integers(-100, 100, (ROWS, inner), dtype=np.int8))
    right = torch.from_numpy(rng.integers(-100, 100, (outer, inner), dtype=np.int8))
    with torch.inference_mode():
        if precision == "int8":
            return _best(lambda: torch._int_mm(left, right.T), inner, outer)
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        rows, weights = left.to(dtype), right.to(dtype)
        return _best(lambda: torch.nn.functional.linear(rows, weights), inner, outer)


def _best(product: Callable[[], object], inner: int, outer: int) -> float:
    for _ in range(_WARM_UP):
        product()
    times = []
    for _ in range(_TIMES):
        begin = perf_counter()
        product()
        times.append(perf_counter() - begin)
    return _rate(min(times), inner, outer)


def _rate(seconds: float, inner: int, outer: int) -> float:
    return round(2 * ROWS * inner * outer / seconds / 1e9, 1)


def _openvino(precision: Precision, inner: int, outer: int, threads: int, streams: int) -> float:
    compiled = openvino.Core().compile_model(
        _product(precision, inner, outer),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            "PERF_COUNT": True,
        },
    )
    rows = np.random.default_rng(0).uniform(-_RANGE, _RANGE, (ROWS, inner)).astype(np.float32)
    requests = [compiled.create_infer_request() for _ in range(streams)]
    rates = []
    for _ in range(_WARM_UP + _TIMES):
        for request in requests:
            request.start_async([rows])
        for request in requests:
            request.wait()
        rates.append(sum(_rate(_profiled(request), inner, outer) for request in requests))
    return round(max(rates[_WARM_UP:]), 1)


def _product(precision: Precision, inner: int, outer: int) -> openvino.Model:
    """Make a model of one linear layer, its weights and inputs in 8 bits for int8."""
    rows = ops.parameter([-1, inner], np.float32)
    weights = np.random.default_rng(1).integers(-127, 128, (outer, inner), dtype=np.int8)
    scale = np.float32(_RANGE / _STEPS)
    if precision != "int8":
        product = ops.matmul(rows, ops.constant(weights * scale), False, True)
        return openvino.Model([ops.result(product)], [rows], "product")
    low, high = np.float32(-_RANGE), np.float32(_RANGE * (1 - 2 / _STEPS))
    inputs = ops.fake_quantize(rows, low, high, low, high, _STEPS)
    restored = ops.multiply(ops.convert(ops.constant(weights), np.float32), ops.constant(scale))
    product = ops.matmul(inputs, restored, False, True)
    return openvino.Model([ops.result(product)], [rows], "product")


def _profiled(request: Any) -> float:  # noqa: ANN401 - openvino has no types
    """Return the seconds that the product took in the last call.

    Raises:
        RuntimeError: there is none by a name that OpenVINO has given it so far.
    """
    kinds = {each.node_type: each.real_time.total_seconds() for each in request.profiling_info}
    for kind, seconds in kinds.items():
        if kind.startswith(_NODE) and seconds:
            return float(seconds)
    raise RuntimeError(f"OpenVINO's profile has {sorted(kinds)}, expected {_NODE} with its time")

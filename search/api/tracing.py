"""OpenTelemetry, where it is installed and has somewhere to send to: a span for each request."""

import os
from time import monotonic, time_ns
from typing import Any

from starlette.types import Scope

from indexer.errors import ClozeError
from search.api.exchange import Exchange
from search.api.front import Journal
from search.api.paths import label

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracing() -> Journal | None:
    """Return what turns requests into spans, None where nothing asks for it.

    It needs the extra `tracing`, and its address in OpenTelemetry's own environment variable.

    Raises:
        ClozeError: there is the address, and not the extra.
    """
    asking = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if asking is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ClozeError(
            f"{asking} asks for traces, and {error.name} is not installed; install "
            "cloze-search[tracing], or unset the variable"
        ) from None
    name = os.environ.get("OTEL_SERVICE_NAME", "cloze")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider.get_tracer("cloze"))


class Tracing:
    """Makes a span of a request once it is answered, with an event for each stage that ran."""

    def __init__(self, tracer: Any) -> None:  # noqa: ANN401 - its package may be absent
        """Make spans with a tracer."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._kind = SpanKind.SERVER
        self._propagator = TraceContextTextMapPropagator()

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Make a request's span, within the trace of whoever asked."""
        route, method = label(scope["path"]), scope["method"]
        now = time_ns()
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in
                   exchange.headers.items()}  # fmt: skip
        span = self._tracer.start_span(
            f"{method} {route}", context=self._propagator.extract(carrier), kind=self._kind,
            start_time=now - int((monotonic() - exchange.came) * 1e9),
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": exchange.status,
                "cloze.request_id": exchange.id,
            },
        )  # fmt: skip
        for stage, ms in exchange.stages.items():
            span.add_event(stage, {"ms": ms}, timestamp=now)
        span.end(end_time=now)

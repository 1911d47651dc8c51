"""The forward pass of a BERT-family checkpoint at machine speed."""

import sys

# OpenVINO reports its use to Google Analytics through this package, and is silent where it is
# missing. This runs before any import of openvino.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

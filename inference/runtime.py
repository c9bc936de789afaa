"""ONNX Runtime, told before it is loaded to send and keep nothing: `ort` is imported from here.

Its official builds collect telemetry: they keep a device id and a database in the user's cache,
and send what they saw to the maker. Only this variable, set before the library is loaded, stops
all of it (its own Privacy.md, "Disabling Telemetry"; `disable_telemetry_events` comes too late).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]

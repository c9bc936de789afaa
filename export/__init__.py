"""Trained models to an ONNX bundle, behind the parity gate."""

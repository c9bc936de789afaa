"""The fusion strategies as ONNX graphs: one file each, named as the strategy is."""

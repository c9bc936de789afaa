"""Load, verify and run a bundle: arrays in, scores out."""

"""Strings and bytes to arrays: the one implementation for training, the gate, and serving."""

"""Bytes and strings to arrays: the one implementation that train, inference and worker all use."""

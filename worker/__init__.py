"""Kafka to verdicts."""

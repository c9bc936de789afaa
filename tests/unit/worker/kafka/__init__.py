"""Tests of what `worker.kafka` does without a broker."""

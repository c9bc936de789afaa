"""Floors, end-to-end runs, and what they cost per message."""

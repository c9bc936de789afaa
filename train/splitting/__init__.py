"""A file of rows, with its images beside it, to a corpus of two halves."""

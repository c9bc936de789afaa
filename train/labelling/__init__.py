"""Posts without labels to a corpus with the labels that sentiment lexicons agree on."""

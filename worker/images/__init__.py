"""References to bytes to pixels: sources, guard, decoder."""

"""A models folder, its corpus and bundles to one page with all figures, and the same as JSON."""

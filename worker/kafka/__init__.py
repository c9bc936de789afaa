"""The broker seam, and what stands behind it."""

"""Fusion strategies: one module each, behind one seam."""

"""Load, verify and run a bundle: strings and pixels in, scores out."""

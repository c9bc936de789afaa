"""The demo corpus: posts whose texts are composed and whose faces are drawn, by seed alone."""

from tuwen.demo_corpus.corpus import generate

__all__ = ["generate"]

"""What can go wrong in training.

TrainError
├── CorpusError     the corpus cannot be used; the text names file and line, and what to do
├── SettingError    a setting is impossible; the text names it
├── CollapsedError  every run of the CNN collapsed; the text says what to try
├── LexiconError    a file of polar words cannot be used; the text names file, line, and what to do
├── BroughtError    a model that was brought cannot be served; the text says what of it, and why
├── ReportError     models, corpus and bundle do not belong together, or cannot be read
└── LeakageError    a fitted thing was asked to score rows that it was fitted on
"""


class TrainError(Exception):
    """Base of all below."""


class CorpusError(TrainError):
    """The corpus cannot be used as it is."""


class SettingError(TrainError, ValueError):
    """A setting is impossible."""


class CollapsedError(TrainError):
    """Every run of the CNN ended in one answer for all images, or in a loss that is no number."""


class LexiconError(TrainError):
    """A lexicon cannot be used as it is."""


class BroughtError(TrainError):
    """A brought model cannot be served as it is."""


class ReportError(TrainError):
    """There is nothing to report on, or what was named belongs to another training."""


class LeakageError(TrainError):
    """A model that learns from scores must not learn from scores of rows they were fitted on."""

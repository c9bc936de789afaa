"""What can be wrong with a bundle."""

from pathlib import Path


class BundleError(Exception):
    """`file` of a bundle cannot be used; the text says why, and what to do."""

    def __init__(self, file: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {problem}; {remedy}")
        self.file = file
        self.problem = problem
        self.remedy = remedy

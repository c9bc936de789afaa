"""What a source of the network is told of references: which may be had, where, by what right."""

from typing import Protocol

from yarl import URL

from features.images import ImageProblem


class FetchRules(Protocol):
    """The rules of one kind of references."""

    def target(self, reference: str) -> URL | ImageProblem:
        """Where the image is that a stranger named, or why it may not be had."""

    def redirected(self, asked: URL, location: str) -> URL | ImageProblem:
        """Where a redirect of `asked` leads, or why it is not followed."""

    def may_dial(self, address: str, port: int) -> bool:
        """Whether a connection may be made to this very address."""

    def names(self, host: str) -> bool:
        """Whether the operator named this host: then it may be one of a search domain."""

    def signed(self, url: URL) -> URL:
        """What is asked for in the place of `url`: the same, with what proves the right to it."""

    def told(self, status: int) -> str:
        """What to say of an answer that is no image."""

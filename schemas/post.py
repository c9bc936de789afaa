"""The post, as producers write it on the topic `tuwen.posts`."""

from typing import Annotated

import msgspec

ID_CHARACTERS_MAX = 128
TEXT_CHARACTERS_MAX = 10_000

PostId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=ID_CHARACTERS_MAX,
        description="The producer's name for the post; twice the same gives two verdicts.",
    ),
]
PostText = Annotated[
    str,
    msgspec.Meta(
        max_length=TEXT_CHARACTERS_MAX,
        description="The text; null, empty or only white space means that there is none.",
    ),
]
ImageReference = Annotated[
    str,
    msgspec.Meta(
        description="`file:`, `data:`, `http:` or `https:` reference; null or empty means none."
    ),
]


class Post(msgspec.Struct, frozen=True, gc=False):
    """One post: a text, a reference to an image, or both. Unknown fields are ignored.

    At least one of the two must hold something; `has_content` says whether it does.
    """

    id: PostId
    text: PostText | None = None
    image: ImageReference | None = None

    @property
    def has_text(self) -> bool:
        """Whether the text holds anything but white space."""
        return self.text is not None and not (self.text == "" or self.text.isspace())

    @property
    def has_image(self) -> bool:
        """Whether there is a reference at all; what it leads to is not known here."""
        return bool(self.image)

    @property
    def has_content(self) -> bool:
        """Whether there is anything to classify."""
        return self.has_text or self.has_image

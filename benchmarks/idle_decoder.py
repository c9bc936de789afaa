"""A decoder child that decodes nothing unless told to: run by its path, confined as the real one.

`nothing…` gives black pixels, `crash` a segmentation fault, `hang` no end; all else is decoded.
"""

import ctypes
import sys

import numpy as np

from features.images import ImageLimits, ImageProblem, Pixels, decode
from schemas.manifest import ImageInput
from worker.images.decoder_child import serving

NOTHING = b"nothing"
CRASH = b"crash"
HANG = b"hang"


def obedient(image: bytes, spec: ImageInput, limits: ImageLimits) -> Pixels | ImageProblem:
    """Do what the image says."""
    if image.startswith(NOTHING):
        return np.zeros((spec.height, spec.width, spec.channels), np.uint8)
    if image == CRASH:
        ctypes.string_at(0)
    while image == HANG:
        pass
    return decode(image, spec, limits)


if __name__ == "__main__":
    serving.main(sys.argv[1:], obedient)

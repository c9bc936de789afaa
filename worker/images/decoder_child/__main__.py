"""`python -P -m worker.images.decoder_child TASK`: decode what the worker sends, until it ends."""

import sys

from worker.images.decoder_child.serving import main

main(sys.argv[1:])

"""Dead letters back to the topics that their posts came from, each once."""

"""The contracts: what producers, consumers, and the stages between them hand each other."""

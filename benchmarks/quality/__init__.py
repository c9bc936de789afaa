"""How right the models are: every figure beside what it must reach."""

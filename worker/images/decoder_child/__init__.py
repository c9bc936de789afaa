"""A process that decodes images and can do nothing else, from both of its sides."""

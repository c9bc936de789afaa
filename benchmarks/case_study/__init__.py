"""The whole of it in one small study, by the plain libraries, and what goes wrong with it."""

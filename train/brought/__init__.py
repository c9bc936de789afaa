"""Models that others trained, as the models folder that export takes."""

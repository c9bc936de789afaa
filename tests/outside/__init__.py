"""What users of the project write: strategies of their own, outside of its tree."""

"""What comes out of the workers, counted and drawn while it comes."""

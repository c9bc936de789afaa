"""The room of export."""

"""The front door: the tuwen command, the demo, the local Kafka."""

"""The demo: the whole system on one machine, shown and then reconciled."""

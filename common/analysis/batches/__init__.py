"""A provider's batches: on record before they are sent, found again whoever died (I7)."""

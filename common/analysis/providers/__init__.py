"""Who may be asked. Inside of the paid door, and nobody else calls it (I7)."""

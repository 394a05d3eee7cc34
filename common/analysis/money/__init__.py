"""The one paid door (I7), and what goes through it: prices, quotes, what was saved."""

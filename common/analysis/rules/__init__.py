"""What costs nothing: sentences of which a recipe accounts for every word."""

"""What was asked once is not paid again: keys, what may be kept, and the Analyzer that remembers."""

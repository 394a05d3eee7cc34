"""A fake of Anthropic's API that bills: over real HTTP, by the real price table, with the prompt cache and batches."""

"""Several tasks in one call: what a model is shown, what it says, and whose answer is whose (I12)."""

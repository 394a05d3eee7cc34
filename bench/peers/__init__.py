"""The neighbours, each as its own documentation sets it up: a chain of two tasks, the result stored."""

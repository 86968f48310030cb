"""Learning a task from examples."""

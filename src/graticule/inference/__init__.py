"""Running a task over an image of any size."""

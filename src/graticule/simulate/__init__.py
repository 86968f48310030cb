"""Images with exact truth, one file per kind."""

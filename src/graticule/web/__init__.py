"""Review and, later, everything else in a browser: the same session as in napari."""

"""Plugin for the napari viewer: results in and out, sample data, and review by the keyboard."""

"""What numbers mean: results to figures with intervals."""

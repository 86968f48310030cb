"""How right results are."""

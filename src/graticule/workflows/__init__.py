"""The verbs every edge calls."""

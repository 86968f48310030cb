"""Files to nouns and back; the suffix decides."""

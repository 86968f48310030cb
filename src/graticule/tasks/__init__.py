"""The kinds of object: one file each, holding everything that is special about it."""

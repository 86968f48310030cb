"""Find, count, outline and measure structures in micrographs from few annotations."""

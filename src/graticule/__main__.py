"""``python -m graticule``: the same as the command ``graticule``."""

from graticule.cli import main

if __name__ == "__main__":
    main()

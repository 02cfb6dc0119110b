"""``python -m nexort``."""

from nexort.cli import main

if __name__ == "__main__":
    main()

"""`python -m lodewell` is `lodewell`."""

from lodewell.cli import main

if __name__ == "__main__":
    main()

"""`python -m edgeface`: the same as the `edgeface` command."""

from edgeface.cli import main

if __name__ == "__main__":
    main()

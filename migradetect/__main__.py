"""``python -m migradetect``: the command line where its script is not on the path."""

from migradetect.cli import main

if __name__ == "__main__":
    main()

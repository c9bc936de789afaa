"""`python -P -m tuwen` is the command, for children that must use this very interpreter."""

from tuwen.command import main

if __name__ == "__main__":
    main()

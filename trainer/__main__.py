"""`python -m trainer`: the command line of this package."""

from trainer.cli import main

if __name__ == "__main__":
    main()

"""``python -m mistral_cli`` is the ``mistral`` command."""

from mistral_cli.cli import main

if __name__ == "__main__":
    main()

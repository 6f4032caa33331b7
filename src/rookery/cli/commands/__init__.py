"""One module per command, imported when it is asked for: ``run(argv) -> exit code``."""

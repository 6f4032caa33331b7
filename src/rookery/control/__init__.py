"""The words between the command line and the manager, and the client that speaks them."""

"""The long-lived host: keeper, manager, state file."""

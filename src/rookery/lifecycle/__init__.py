"""Pure rules: states, restarts, backoff, stopping. No clock, no process, no I/O."""

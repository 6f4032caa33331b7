"""The thread pool, and the single thread with a channel."""

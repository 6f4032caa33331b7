"""What runs in a worker: it takes its sockets from the parent, serves the app, and drains when it is told to."""

"""The collector that owns log files, and the reading of them."""

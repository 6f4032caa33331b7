"""The process pool: engine, workers, housekeeping."""

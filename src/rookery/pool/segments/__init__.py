"""Big payloads through shared memory that is used again."""

"""Functions, values and errors as bytes, and back."""

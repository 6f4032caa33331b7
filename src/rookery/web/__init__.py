"""The HTTP application over whatever service it is handed."""

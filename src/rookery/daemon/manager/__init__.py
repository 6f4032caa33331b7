"""The manager: decides what runs. It may die at any time; the keeper starts it again and it goes on."""

"""Running what is declared: apps, their instances, one queue of operations each."""

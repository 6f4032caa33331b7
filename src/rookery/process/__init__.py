"""Starting, watching and stopping operating system processes."""

"""What an app is (AppSpec), and the files and command lines that describe one."""

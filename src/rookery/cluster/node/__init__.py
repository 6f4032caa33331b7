"""Node servers as workers: started with a script of ours before their own, and understood by what that says."""

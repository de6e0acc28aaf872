"""What runs in the peers' own processes: scripts that import nothing of this project."""

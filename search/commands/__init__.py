"""What the command line has of searching and serving."""

"""What modules stand on; it knows no module."""

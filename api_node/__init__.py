"""Steers a participant's MLNodes and routes requests to them."""

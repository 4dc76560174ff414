"""What is in an image and in the registry."""

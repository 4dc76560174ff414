"""What runs: deploying, asking, smoke tests, the quarantine."""

"""Everything that happens before and around the image: training, building, pushing, deploying. Never in the image."""

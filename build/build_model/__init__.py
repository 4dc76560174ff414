"""Everything that happens before and around the image: training, building, pushing, deploying. Never in the image."""

STOPPED = "stopped by Ctrl-C; running it again is safe."

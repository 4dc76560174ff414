"""The report: what one or two models are worth, side by side, as a page that needs nothing else."""

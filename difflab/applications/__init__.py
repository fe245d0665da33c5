"""The applications of diffusion models, one file each: the one loop with something put into its openings."""

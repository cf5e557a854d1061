"""How functions of one variable become sums of clips."""

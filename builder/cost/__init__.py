"""What a build costs: prices, estimates, upper bounds and the budget that limits them."""

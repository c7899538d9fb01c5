"""The activity and the cost of a network."""

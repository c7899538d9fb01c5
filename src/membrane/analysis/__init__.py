"""What a network does and costs."""

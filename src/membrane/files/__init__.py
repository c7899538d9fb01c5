"""Files that are whole, locked and hashed."""

"""What one product page says: every source read and merged field by field, each field with where it came from."""

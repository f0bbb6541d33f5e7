"""The models of the stack: two wire formats over one careful HTTP client."""

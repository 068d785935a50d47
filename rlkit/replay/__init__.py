"""Experience replay in preallocated arrays."""

"""Optimisers on flat parameter vectors, and the laws that scale them with dt."""

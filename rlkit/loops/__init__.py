"""Loops: how experience and learning alternate. One per kind of learner."""

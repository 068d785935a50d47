"""Recurrent PPO as users have it today, and ours, behind one function `run` per file."""

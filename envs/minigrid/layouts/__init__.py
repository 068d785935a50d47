"""Tasks in a grid world, one family a file; `base.py` is the contract."""

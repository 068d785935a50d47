"""Networks: plain modules whose shapes are given by their caller."""

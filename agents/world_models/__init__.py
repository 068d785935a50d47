"""World Models: vision, dynamics and a small controller, one after the other."""

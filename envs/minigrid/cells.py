"""A cell of a grid world as one number: type | colour << 8 | state << 16 | solid << 24.

The first three bytes are what MiniGrid observes. The fourth says what a body and an eye meet:
0 can be entered, `OPAQUE` stops both (walls, shut doors), `PORTABLE` stops the body only (keys,
balls, boxes). Empty hands and an empty cell are the same number, so that picking up and putting
down are one exchange.
"""

UNSEEN = 0
EMPTY = 1
TYPE_WALL, TYPE_DOOR, TYPE_KEY, TYPE_BALL, TYPE_BOX, TYPE_GOAL, TYPE_LAVA = 2, 4, 5, 6, 7, 8, 9
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)
OPEN, CLOSED, LOCKED = range(3)

RANDOM_COLORS = (BLUE, GREEN, GREY, PURPLE, RED, YELLOW)
"""In MiniGrid's order of drawing, which is alphabetical and not that of the numbers."""

OPAQUE, PORTABLE = 1 << 24, 2 << 24

WALL = TYPE_WALL | GREY << 8 | OPAQUE
GOAL = TYPE_GOAL | GREEN << 8
LAVA = TYPE_LAVA | RED << 8


def key(color: int) -> int:
    """A key, which opens locked doors of its colour."""
    return TYPE_KEY | color << 8 | PORTABLE


def ball(color: int) -> int:
    """A ball, which can be carried."""
    return TYPE_BALL | color << 8 | PORTABLE


def box(color: int) -> int:
    """An empty box: toggled, it vanishes."""
    return TYPE_BOX | color << 8 | PORTABLE


def door(color: int, state: int = CLOSED) -> int:
    """A door that is OPEN, CLOSED or LOCKED (opened by the key of its colour)."""
    return TYPE_DOOR | color << 8 | state << 16 | (0 if state == OPEN else OPAQUE)

"""A guide through MiniGrid's own environments: random play alone hardly ever solves one.

It looks at the package's objects and never at ours, so that it takes no side in a comparison.
"""

from collections import deque

import numpy as np

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Guide:
    """Chooses the actions of one environment: plans toward the next aim, and detours.

    Args:
        env: an unwrapped MiniGrid environment.
        rng: of the choices.
        random_share: probability of a detour instead of a plan: random actions, or something done
            to some object.
    """

    def __init__(self, env, rng: np.random.Generator, random_share: float = 0.5):
        self.env, self.rng, self.random_share = env, rng, random_share
        self.ahead: list[int] = []

    def begin(self) -> None:
        """Another episode has begun."""
        self.ahead = []

    def action(self) -> int:
        if not self.ahead:
            self.ahead = self.plan(self.env)
        return self.ahead.pop(0)

    def plan(self, env) -> list[int]:
        is_detour = self.rng.random() < self.random_share
        if is_detour and self.rng.random() < 0.6:
            return self.rng.integers(0, 7, self.rng.integers(1, 8)).tolist()
        place, action = self.meddle(env) if is_detour else self.aim(env)
        if place is None:
            return self.turn_to_room(env)
        way = way_to_face(env, place)
        return [int(self.rng.integers(0, 7))] if way is None else [*way, action]

    def meddle(self, env):
        things = [p for p, cell in cells(env) if cell.type in ("door", "key", "ball", "box")]
        if not things:
            return None, DROP
        return things[self.rng.integers(len(things))], (PICKUP, DROP, TOGGLE)[self.rng.integers(3)]

    def aim(self, env):
        """(what to face, what to do to it); None to put something down."""
        if hasattr(env, "success_pos"):
            is_wrong = self.rng.random() < 0.6 * self.random_share
            return env.failure_pos if is_wrong else env.success_pos, FORWARD
        if hasattr(env, "red_door"):
            is_wrong = self.rng.random() < 0.4 * self.random_share
            door = env.blue_door if env.red_door.is_open or is_wrong else env.red_door
            return next(p for p, cell in cells(env) if cell is door), TOGGLE  # has no cur_pos
        found = dict(cells(env))
        locked = [(p, c) for p, c in found.items() if c.type == "door" and c.is_locked]
        held = env.carrying
        for place, door in locked:
            if held is not None and held.type == "key" and held.color == door.color:
                return place, TOGGLE
            keys = [p for p, c in found.items() if c.type == "key" and c.color == door.color]
            if held is None and keys:
                return keys[0], PICKUP
            return None, DROP
        if hasattr(env, "obj"):
            return (None, DROP) if held is not None else (env.obj.cur_pos, PICKUP)
        goals = [p for p, c in found.items() if c.type == "goal"]
        return (goals[0], FORWARD) if goals else (None, DROP)

    def turn_to_room(self, env) -> list[int]:
        """Puts down what is carried as soon as there is room for it."""
        for turns in range(4):
            dx, dy = STEPS[(env.agent_dir + turns) % 4]
            if env.grid.get(env.agent_pos[0] + dx, env.agent_pos[1] + dy) is None:
                return [RIGHT] * turns + [DROP]
        return [int(self.rng.integers(0, 7))]


def cells(env):
    """All ((x, y), object) of a grid."""
    for n, cell in enumerate(env.grid.grid):
        if cell is not None:
            yield (n % env.width, n // env.width), cell


def way_to_face(env, place) -> list[int] | None:
    """Shortest actions after which the agent faces a place, opening doors on its way."""
    place = (int(place[0]), int(place[1]))
    start = (int(env.agent_pos[0]), int(env.agent_pos[1]), int(env.agent_dir))
    seen, queue = {start}, deque([(start, ())])
    while queue:
        (x, y, d), way = queue.popleft()
        ahead = (x + STEPS[d][0], y + STEPS[d][1])
        if ahead == place:
            return unrolled(way)
        nexts = [((x, y, (d + 3) % 4), LEFT), ((x, y, (d + 1) % 4), RIGHT)]
        cell = env.grid.get(*ahead)
        if cell is None or (cell.type == "door" and cell.is_open):
            nexts.append(((*ahead, d), FORWARD))
        elif cell.type == "door" and not cell.is_locked:
            nexts.append(((*ahead, d), TOGGLE))  # stands for opening it and going in
        for state, action in nexts:
            if state not in seen:
                seen.add(state)
                queue.append((state, (way, action)))
    return None


def unrolled(way) -> list[int]:
    actions: list[int] = []
    while way:
        way, action = way
        actions += [FORWARD, TOGGLE] if action == TOGGLE else [action]
    return actions[::-1]

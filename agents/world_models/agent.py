"""World Models (Ha & Schmidhuber, 2018; reproduced by Tallec, 2019, chapter 7), any memory.

    data          episodes of a random policy
    vision        z = μ of a variational auto-encoder of the observations (vectors are scaled)
    dynamics      h = memory([a, z]), trained to predict the next z, the reward and the end
    controller    a_t = squash(W [z_t, h_{t-1}] + b), W and b by CMA-ES:
        each generation: N members, each played on `rollouts` episodes, in the environment or in
        the dynamics (a dream); cost = - mean return; what is delivered is the strategy's mean
        at the end: the mean or one of the last best members, by fresh episodes
    with `rounds` > 1, episodes of the present controller are added and the dynamics fitted again

h_{t-1}: what the memory put out after the step before, zero at first. Each of the first three is a
stage of its own (`rlkit/loops/staged.py`); `train_vision` or `train_dynamics` = false leaves one at
its initial weights. Returns are Σ r·dt / stock_dt, in the units of the stock environment.

Differs from the papers: rollouts whose reward has long not been positive may be cut short at first
(`stall_seconds`), and the number of rollouts per member grows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.base import Agent, Parts, action_level
from agents.world_models.controller import Controller, Strategy
from agents.world_models.dream import Dream, play_dreams
from agents.world_models.dynamics import Dynamics
from agents.world_models.pictures import film_of, pictures_of
from agents.world_models.stages import recording_inputs, stages_of
from agents.world_models.vision import ImageVision, VectorVision, has_bf16
from rlkit.loops.staged import Plan, Sources, Stage
from rlkit.noise import UniformDraws
from rlkit.observations import check_codes
from rlkit.options import option
from rlkit.run.evaluation import Film
from rlkit.schedule import BlockSchedule
from rlkit.types import State, Tree

FEATURES = {"z": (True, False), "h": (False, True), "zh": (True, True)}


@dataclass(frozen=True)
class WorldModelsOptions:
    latent_size: int = option("Z, of images; vectors are their own code", low=1)
    mixture: Literal["joint", "per_dim"] = option("one weight vector, or one per latent")
    components: int = option("of the mixture", low=1)
    inputs: Literal["z", "h", "zh"] = option("what the controller sees")
    squash: Literal["tanh", "clip"] = option("what bounds its actions")
    one_sided: tuple[int, ...] | None = option(
        "components that are none at -1; null: those of range [0, …] in the environment", low=0
    )
    rectified: tuple[int, ...] | None = option(
        "components of which tanh keeps the upper half; null: the one-sided ones", low=0
    )
    train_vision: bool = option("false: initial weights")
    train_dynamics: bool = option("false: initial weights, a reservoir")
    data_episodes: int = option("recorded in each round", low=2)
    data_steps: int | None = option("longest recorded; null: whole episodes", unit="steps", low=2)
    wander_variance: float = option("of the random policy's Brownian motion, a step", above=0)
    held_out: float = option("share of the episodes to validate with", above=0, high=0.9)
    patience: int = option("validations without gain until a step size is halved; 0: never", low=0)
    stop_after: int = option("validations without gain until training stops; 0: never", low=0)
    vision_images: int = option("to train on, at most", low=1)
    vision_batch: int = option("images a step", low=1)
    vision_validate_images: int = option("between validations", unit="images", low=1)
    vision_lr: float = option("step size, of Adam", above=0, search=(1e-4, 1e-3))
    kl_free_nats: float = option("divergence per latent that costs nothing", unit="nat", low=0)
    buffer_episodes: int = option("in memory at a time while the vision learns", low=1)
    dynamics_sequences: int = option("to train on, at most", low=1)
    dynamics_batch: int = option("sequences a step", low=1)
    dynamics_validate_sequences: int = option("between validations", unit="sequences", low=1)
    dynamics_lr: float = option("step size", above=0, search=(3e-4, 3e-3))
    sequence_steps: int = option("L, length of learnt sequences", unit="steps", low=1)
    max_grad_norm: float = option("the dynamics' gradient is scaled down to this norm", above=0)
    population: int = option("N, members of a generation", low=4)
    sigma: float = option("standard deviation of the first generation", above=0)
    rollouts: tuple[int, ...] = option("episodes per member, phase after phase", low=1)
    rollouts_from: tuple[int, ...] = option("first generation of each; below 0: from the end")
    common_tracks: bool = option("all members of a generation play the same episodes")
    stall_seconds: float = option(
        "cut a rollout after so long without reward; 0: no", unit="s", low=0
    )
    stall_until: float | None = option(
        "only while the population's mean return is below; null: always"
    )
    selection_episodes: int = option("fresh episodes for the final choice; 0: the mean", low=0)
    selection_members: int = option("best members it may choose besides the mean", low=0)
    train_in: Literal["real", "dream"] = option("where members are played")
    rounds: int = option("of data, dynamics and controller", low=1)
    bank_size: int = option("first codes that dreams begin with", low=1)
    temperature: float = option("τ of the dream", above=0, search=(0.5, 1.3))
    dream_noise: bool = option("dream of samples of a component, not of its mean")
    dream_steps: int = option("longest dream", unit="steps", low=1)
    precision: Literal["auto", "fp32", "bf16"] = option("of the auto-encoder; auto: bf16 if fast")


class Play(Protocol):
    """Plays members (M, P) on their seeds; answers (M, rollouts, 3) as `loops.population.Play`."""

    def __call__(
        self,
        members_MP: NDArray[np.float64],
        seeds: Sequence[Sequence[int]],
        stall_steps: int,
        dream: bool,
        droppable: bool,
    ) -> NDArray[np.float64]: ...


class WorldModels(Agent):
    actions = "any"
    loop = "staged"

    def __init__(self, options: WorldModelsOptions, parts: Parts):
        nn.Module.__init__(self)
        o, spaces = options, parts.spaces
        self.options, self.spaces, self.parts = o, spaces, parts
        self.noise, self.optimizers = UniformDraws(parts.noise), {}
        self.schedule = BlockSchedule(1, 1.0, store_every_steps=1)  # a step is a generation

        check_codes(spaces.obs_parts)
        self.vision: ImageVision | VectorVision
        if len(spaces.obs_shape) == 3:
            bf16 = o.precision == "bf16" or (o.precision == "auto" and has_bf16())
            self.vision = ImageVision(spaces.obs_shape[-1], o.latent_size, bf16)
        else:
            self.vision = VectorVision(spaces.obs_shape[0])
        A, Z = spaces.action_size, self.vision.latent_size
        self.dynamics = Dynamics(parts.make_memory, Z, A, o.components, o.mixture, o.bank_size)
        self.sees_z, self.sees_h = FEATURES[o.inputs]
        features = Z * self.sees_z + self.dynamics.memory.output_size * self.sees_h
        one_sided = spaces.one_sided if o.one_sided is None else o.one_sided
        rectified = one_sided if o.rectified is None else o.rectified
        kind = spaces.discrete, o.squash, one_sided, rectified
        self.controller = Controller(features, A, *kind)
        self.strategy: Strategy | None = None
        self.vision_key = self.dynamics_key = ""  # of the last of these stages
        self.stalling = o.stall_seconds > 0
        self.eval()

    @property
    def precision(self) -> str:
        """Of the products of the vision: what `auto` came to."""
        return "bf16" if getattr(self.vision, "bf16", False) else "fp32"

    # ---- acting -----------------------------------------------------------------------------

    def initial_state(self, B: int) -> State:
        """The memory's state and its last output."""
        memory = self.dynamics.memory
        return *memory.initial_state(B), self.controller.parameters_P.new_zeros(
            B, memory.output_size
        )

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        parameters_BP = self.controller.parameters_P.expand(len(obs_BO), -1)
        return self.play(obs_BO, state, start_B, parameters_BP)

    def play(
        self, obs_BO: Tensor, state: State, start_B: Tensor, parameters_BP: Tensor
    ) -> tuple[Tensor, State]:
        """One step of as many controllers."""
        z_BZ = self.vision.encode(obs_BO)[0]
        y_BH = torch.where(start_B[:, None], 0, state[-1])
        action_BA = self.controller(self.features(z_BZ, y_BH), parameters_BP)
        y_BH, after = self.dynamics.step(z_BZ, action_BA, state[:-1], start_B)
        return action_BA, (*after, y_BH)

    def features(self, z_BZ: Tensor, y_BH: Tensor) -> Tensor:
        seen = [z_BZ] * self.sees_z + [y_BH] * self.sees_h
        return seen[0] if len(seen) == 1 else torch.cat(seen, dim=-1)

    def wander(self, seed: int) -> Iterator[NDArray[Any]]:
        return self.controller.wander(seed, self.options.wander_variance)

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        """The reward expected of the first step, and its action."""
        B = len(obs_BO)
        fresh = torch.ones(B, dtype=torch.bool)
        action, state = self.act(obs_BO, self.initial_state(B), fresh, explore=False)
        reward_B = self.dynamics.mdn(state[-1]).reward
        discrete, A = self.spaces.discrete, self.spaces.action_size
        return reward_B, action_level(action, A) if discrete else action[:, 0]

    @torch.no_grad()
    def dream(self, parameters_NP: Tensor, seeds: Sequence[int]) -> NDArray[np.float64]:
        played = play_dreams(self, parameters_NP, seeds, self.options.dream_steps)
        played[:, 0] *= self.spaces.dt
        return played

    def make_dream(self) -> Dream:
        o = self.options
        return Dream(self.dynamics, o.temperature, o.dream_noise)

    # ---- the stages before the controller ---------------------------------------------------

    def recording(self, round_: int) -> dict[str, Any] | None:
        return recording_inputs(self, round_)

    def stages(self, facts: Mapping[str, Any], sources: Sources, after: str) -> Iterator[Stage]:
        yield from stages_of(self, facts, sources, after)

    # ---- learning ---------------------------------------------------------------------------

    def update(self, plan: Plan, play: Play) -> dict[str, float]:
        """One generation of the controller."""
        o, dream = self.options, self.options.train_in == "dream"
        strategy = self.begin_strategy(plan.seed)
        members_NP = strategy.ask()
        rollouts, own = self.rollouts(plan), not o.common_tracks
        seeds = [plan.seeds(i * own, rollouts) for i in range(o.population)]
        stall_steps = round(o.stall_seconds / self.spaces.dt) if self.stalling else 0
        played = play(members_NP, seeds, stall_steps, dream, droppable=True)
        return_N = self.stock_returns(played)
        strategy.tell(members_NP, -return_N)
        self.stalling &= o.stall_until is None or return_N.mean() < o.stall_until
        chosen, metrics = strategy.mean, {}
        if plan.final and o.selection_episodes:
            best = np.argsort(-return_N, kind="stable")[: o.selection_members]
            candidates = np.stack([strategy.mean, *members_NP[best]])
            fresh = [plan.seeds(0, o.selection_episodes, stream=1)] * len(candidates)
            return_C = self.stock_returns(play(candidates, fresh, 0, False, droppable=False))
            chosen = candidates[return_C.argmax()]
            metrics["controller/chosen"] = float(return_C.argmax())
            metrics["controller/chosen_return"] = float(return_C.max())
        self.controller.parameters_P.copy_(torch.from_numpy(chosen))
        where = "dream_" if dream else ""
        return metrics | {
            f"controller/{where}return_mean": float(return_N.mean()),
            f"controller/{where}return_best": float(return_N.max()),
            f"controller/{where}return_std": float(return_N.std()),
            "controller/length_mean": float(np.nanmean(played[..., 1])),
            "controller/rollouts": float(played.shape[1]),
            "controller/dropped": float(np.isnan(played[..., 0]).sum()),
            "controller/sigma": strategy.sigma,
        }

    def begin_strategy(self, seed: int) -> Strategy:
        """The strategy, made at the first generation."""
        if self.strategy is None:
            own = int(np.random.SeedSequence((seed, 4)).generate_state(1)[0])
            size = self.controller.size
            self.strategy = Strategy(size, self.options.population, self.options.sigma, own)
        return self.strategy

    def rollouts(self, plan: Plan) -> int:
        """Episodes per member in this generation."""
        o, now = self.options, 1
        for first, count in zip(o.rollouts_from, o.rollouts, strict=True):
            if plan.generation >= (first if first >= 0 else plan.total + first):
                now = count
        return now

    def stock_returns(self, played_MR3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over the episodes that were waited for; the worst of all if there was none."""
        return_MR = played_MR3[..., 0] / (self.spaces.stock_dt or self.spaces.dt)
        known_M = ~np.isnan(return_MR).all(1)
        return_M = np.full(len(return_MR), np.nanmin(return_MR))
        return_M[known_M] = np.nanmean(return_MR[known_M], axis=1)
        return return_M

    def pictures(self, sources: Sources) -> dict[str, NDArray[np.uint8]]:
        return pictures_of(self, sources)

    @property
    def film(self) -> Film | None:
        """What videos show instead of the environment."""
        return partial(film_of, self) if isinstance(self.vision, ImageVision) else None

    # ---- saving -----------------------------------------------------------------------------

    def weights(self) -> dict[str, NDArray[Any]]:
        """What a worker needs, as arrays."""
        return {name: tensor.numpy() for name, tensor in self.state_dict().items()}

    def take(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `weights` gave."""
        self.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in weights.items()})

    def get_training_state(self) -> Tree:
        keys = {"vision_key": self.vision_key, "dynamics_key": self.dynamics_key}
        state = {"noise": self.noise.get_state(), "stalling": self.stalling} | keys
        return state | {"strategy": self.strategy.get_state() if self.strategy else None}

    def set_training_state(self, state: Tree) -> None:
        self.noise.set_state(state["noise"])
        self.stalling, self.vision_key = state["stalling"], state["vision_key"]
        self.dynamics_key = state.get("dynamics_key", "")
        if state["strategy"] is not None:
            self.begin_strategy(state["strategy"]["start"]["seed"]).set_state(state["strategy"])

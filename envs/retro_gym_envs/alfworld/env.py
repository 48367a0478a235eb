"""ALFWorld-v0: household tasks, to be done by commands in text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from retro_gym.actors import Actor
from retro_gym.errors import ActionError, ConfigError, EpisodeError, one_line
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import ReflectionCheck, TaskEnv, checked_task_id
from retro_gym.trajectory import Trajectory
from retro_gym_envs.alfworld.commands import THOUGHT, normalize
from retro_gym_envs.alfworld.engine import EngineGame, worker_command
from retro_gym_envs.alfworld.games import GameFile, GamePaths, load_games
from retro_gym_envs.alfworld.household import Household, HouseholdGame
from retro_gym_envs.alfworld.prompt import ALFWORLD_PROMPT
from retro_gym_envs.alfworld.world import TASK_TYPES, BuiltinTasks
from retro_gym_envs.task_files import drawn_task_id

__all__ = ["ALFWorldEnv"]

_MAX_OBSERVATION = 8_000  # characters; the fullest rooms of the public games take about 1,000
_MAX_ACTION = 1_000  # characters; of a longer action the head is played
_BUILTIN_TURNS = 12
_REAL_TURNS = 50
_GROUPS = dict(zip(TASK_TYPES, ("put", "examine", "clean", "heat", "cool", "puttwo"), strict=True))


class _Game(Protocol):
    """What built-in and real games have in common."""

    won: bool

    @property
    def first(self) -> str: ...

    @property
    def admissible(self) -> list[str]: ...

    def act(self, command: str) -> str: ...


class _Source(Protocol):
    """Where tasks come from."""

    def ids(self, split: str) -> Sequence[str]: ...

    def get(self, task_id: str) -> Household | GameFile: ...


class ALFWorldEnv(TaskEnv):
    """Household tasks in text: find a thing, treat it as asked, bring it where it belongs.

    ## Description
    A room is described, and a task is to be done in it (ALFWorld, Shridhar et al. 2021). There are six types:
    ``pick_and_place_simple``, ``look_at_obj_in_light``, ``pick_clean_then_place_in_recep``,
    ``pick_heat_then_place_in_recep``, ``pick_cool_then_place_in_recep``, ``pick_two_obj_and_place``. The built-in world
    generates rooms and tasks without end, in pure Python, and speaks the games' language. A list on the wall tells
    where a few things are; real games have none. ``games`` plays ALFWorld's own games through TextWorld.

    ## Observation
    ``UnicodeText(8000)``. First the room, then ``Your task is to: …``. Then what each command brings about, such as
    ``You arrive at shelf 1. On the shelf 1, you see a mug 2, and a pen 1.`` or ``Nothing happens.``

    ## Action
    ``UnicodeText(1000)``: ``go to R``, ``open R``, ``close R``, ``take O from R``, ``move O to R``, ``clean O with R``,
    ``heat O with R``, ``cool O with R``, ``use O``, ``examine X``, ``inventory``, ``look``, ``help``; real games also
    have ``slice O with O``. ``put O in/on R``, as older versions and the published prompts have it, is understood as
    ``move O to R``. Case, spacing, a full stop at the end, and quotes or a ``>`` around them do not matter. Thoughts
    (``think: …``) are answered by ``OK.``, anything else by ``Nothing happens.``; both cost a turn.

    ## Rewards
    1.0 when the task is done, 0.0 before. Success is the same: ``info["success"]``.

    ## Starting state
    The task ``options["task_id"]``, or one of split train, drawn by ``np_random``.

    ``info`` always holds ``task_id``, ``type``, ``success`` and ``admissible_commands``, a list of all commands that
    something comes of.

    ## Episode end
    Terminated when the task is done, truncated after ``max_turns`` turns. A real game that hangs or crashes raises
    ``TaskEnvError``: its trial is void, which is no failure of the actor, and the next reset starts a fresh process.
    The published experiments also end a trial when an action is repeated: ``repeat_limit=2`` of RetroEnv.

    ## Arguments
    - ``games``: ALFWorld's folder ``json_2.1.1`` (or the one above it, such as ``"$ALFWORLD_DATA"``; variables are
      expanded). Its folders ``train``, ``valid_seen`` and ``valid_unseen`` are the splits train, validation and test,
      and can be asked for by either name. Of any other folder with games **every split is the whole folder**; a mapping
      gives a folder for each split. Needs the extra ``[alfworld]``: TextWorld with its planner, which is GPLv3.
    - ``world_seed``: of the built-in world.
    - ``note``: whether the built-in rooms have a list on the wall. Without it the scripted actor plays alike, but a
      failed trajectory rarely tells what would have helped.
    - ``max_turns``: turns of a trial; 12 in the built-in world, 50 in real games, by default.
    - ``command_time_limit``: seconds that a real game may take for one command, or to start.

    ## Version history
    * v0: first release
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    prompt = ALFWORLD_PROMPT
    max_turns = _BUILTIN_TURNS
    data = "built in; games=FOLDER: ALFWorld's games, with the extra [alfworld]"

    def __init__(
        self,
        *,
        games: GamePaths | None = None,
        world_seed: int = 0,
        note: bool = True,
        max_turns: int | None = None,
        command_time_limit: float = 60.0,
    ) -> None:
        if max_turns is None:
            max_turns = _BUILTIN_TURNS if games is None else _REAL_TURNS
        if not isinstance(max_turns, int) or max_turns < 1:
            raise ConfigError(f"max_turns is {one_line(max_turns)}; it must be a whole number from 1 up.")
        if not isinstance(command_time_limit, int | float) or not command_time_limit > 0:
            raise ConfigError(f"command_time_limit is {one_line(command_time_limit)}; it must be above 0 seconds.")
        if not isinstance(world_seed, int):
            raise ConfigError(f"world_seed is {one_line(world_seed)}; it must be a whole number.")
        self.max_turns = max_turns
        self.blocking = games is not None
        self.command_time_limit = command_time_limit
        self._tasks: _Source = _builtin(world_seed, bool(note)) if games is None else load_games(games)
        if games is not None:
            worker_command()  # says so at once if the extra is missing
        self.observation_space = UnicodeText(_MAX_OBSERVATION)
        self.action_space = UnicodeText(_MAX_ACTION)
        self._task: Household | GameFile | None = None
        self._game: _Game | None = None
        self._running = False

    # -- the episode ---------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Sets a task.

        Args:
            seed: of the draw of tasks from here on.
            options: ``{"task_id": …}`` sets that one.

        Raises:
            UnknownTaskError: no such task.
            DataError: the game's file cannot be used.
            TaskEnvError: a real game hangs or crashes; the next reset starts a fresh process.
        """
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        task = self.task(drawn_task_id(self._tasks, self.np_random) if task_id is None else task_id)
        self.close()
        self._task = task
        self._turns = 0
        self._game = self._begin(task)
        self._running = True
        return self._game.first[:_MAX_OBSERVATION], self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            ActionError: the action is not text.
            EpisodeError: no trial is running.
            TaskEnvError: a real game hangs or crashes; the trial is over.
        """
        if self._game is None or not self._running:
            raise EpisodeError("no trial is running. Call reset() first.")
        if not isinstance(action, str):
            raise ActionError(f"an action is text (str); received {type(action).__name__}.")
        self._turns += 1
        self._running = False  # until the game has answered
        command = normalize(action[:_MAX_ACTION])
        observation = "OK." if command.startswith(THOUGHT) else self._game.act(command)
        won = self._game.won
        truncated = not won and self._turns >= self.max_turns
        self._running = not (won or truncated)
        return observation[:_MAX_OBSERVATION], float(won), won, truncated, self._info()

    def _begin(self, task: Household | GameFile) -> _Game:
        if isinstance(task, Household):
            return HouseholdGame(task)
        _ = task.data  # a file that cannot be used is an error of the data, not of the game
        return EngineGame(task.path, self.command_time_limit)

    def _info(self) -> dict[str, Any]:
        task, game = self._task, self._game
        assert task is not None
        assert game is not None
        return {
            "task_id": task.task_id,
            "type": task.type,
            "success": game.won,
            "admissible_commands": game.admissible,
        }

    def close(self) -> None:
        """Ends a running game."""
        if isinstance(self._game, EngineGame):
            self._game.close()
        self._game = None
        self._running = False

    # -- tasks -----------------------------------------------------------------------------------------------------

    def task_ids(self, split: str) -> Sequence[str]:
        """The ids of a split's tasks.

        Raises:
            UnknownTaskError: no such split.
        """
        return self._tasks.ids(split)

    def task(self, task_id: str) -> Household | GameFile:
        """A task with its solution.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.get(checked_task_id(task_id))

    def task_group(self, task_id: str) -> str:
        """The type of task in a word, as the published experiments call it: put, examine, clean, heat, cool, puttwo."""
        return _GROUPS[self.task(task_id).type]

    def scripted_actor(self) -> Actor:
        """An actor that reads the prompt only, searches in a fixed order, and does what a specific reflection says."""
        from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor

        return ScriptedAlfworldActor()

    def oracle_reflection(self, task_id: str) -> str:
        """Names where the things of a task are, and what is to be done with them."""
        from retro_gym_envs.alfworld.teacher import oracle_reflection

        return oracle_reflection(self.task(task_id))

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """A well-formed reflection about what stands in the trajectory, right only now and then."""
        from retro_gym_envs.alfworld.teacher import noisy_reflection

        return noisy_reflection(trajectory, rng)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Whether it is well-formed as the noisy teacher's are, and names only what stands in the trajectory."""
        from retro_gym_envs.alfworld.teacher import check_reflection

        return check_reflection(reflection, trajectory)


# Shared by all environments of a process: trials of one task are played over and over.


@lru_cache(maxsize=8)
def _builtin(world_seed: int, note: bool) -> BuiltinTasks:
    return BuiltinTasks(world_seed, note=note)

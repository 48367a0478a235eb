"""ALFWorld-v0: household tasks, to be done by commands in text."""

from __future__ import annotations

from typing import Any, Protocol

from retro_gym.actors import Actor
from retro_gym.errors import ConfigError, one_line
from retro_gym.teacher import Teacher
from retro_gym_envs.alfworld.commands import THOUGHT, normalize
from retro_gym_envs.alfworld.engine import EngineGame, worker_command
from retro_gym_envs.alfworld.games import GameFile, GamePaths, load_games
from retro_gym_envs.alfworld.household import Household, HouseholdGame
from retro_gym_envs.alfworld.prompt import ALFWORLD_PROMPT
from retro_gym_envs.alfworld.world import BuiltinTasks
from retro_gym_envs.game_env import GameEnv

__all__ = ["ALFWorldEnv"]

_REAL_TURNS = 50


class _Game(Protocol):
    """What built-in and real games have in common."""

    won: bool

    @property
    def first(self) -> str: ...

    @property
    def admissible(self) -> list[str]: ...

    def act(self, command: str) -> str: ...


class ALFWorldEnv(GameEnv[Household | GameFile]):
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

    prompt = ALFWORLD_PROMPT
    max_turns = 12
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
        super().__init__(_REAL_TURNS if max_turns is None and games is not None else max_turns)
        if not isinstance(command_time_limit, int | float) or not command_time_limit > 0:
            raise ConfigError(f"command_time_limit is {one_line(command_time_limit)}; it must be above 0 seconds.")
        if not isinstance(world_seed, int):
            raise ConfigError(f"world_seed is {one_line(world_seed)}; it must be a whole number.")
        self.blocking = games is not None
        self.command_time_limit = command_time_limit
        self._tasks = BuiltinTasks(world_seed, note=bool(note)) if games is None else load_games(games)
        if games is not None:
            worker_command()  # says so at once if the extra is missing
        self._game: _Game | None = None

    def _begin(self, task_id: str) -> str:
        task = self.task(task_id)
        self.close()
        self._task = task
        if isinstance(task, Household):
            self._game = HouseholdGame(task)
        else:
            _ = task.data  # a file that cannot be used is an error of the data, not of the game
            self._game = EngineGame(task.path, self.command_time_limit)
        return self._game.first

    def _play(self, action: str) -> tuple[str, float, bool]:
        assert self._game is not None
        command = normalize(action[: self.max_action])
        observation = "OK." if command.startswith(THOUGHT) else self._game.act(command)
        return observation, float(self._game.won), self._game.won

    def _info(self) -> dict[str, Any]:
        assert self._game is not None
        return {
            "task_id": self._task.task_id,
            "type": self._task.type,
            "success": self._game.won,
            "admissible_commands": self._game.admissible,
        }

    def close(self) -> None:
        """Ends a running game."""
        if isinstance(self._game, EngineGame):
            self._game.close()
        self._game = None
        self._running = False

    # -- beside the game -------------------------------------------------------------------------------------------

    def scripted_actor(self) -> Actor:
        """An actor that reads the prompt only, searches in a fixed order, and does what a specific reflection says."""
        from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor

        return ScriptedAlfworldActor()

    @property
    def teacher(self) -> Teacher:
        """Knows where the things of a task are, and what is to be done with them."""
        from retro_gym_envs.alfworld.teacher import AlfworldTeacher

        return AlfworldTeacher(self._tasks)

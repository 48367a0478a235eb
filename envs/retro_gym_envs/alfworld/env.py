"""ALFWorld-v0: household tasks, solved by text commands."""

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
    """The interface shared by built-in and real games."""

    won: bool

    @property
    def first(self) -> str: ...

    @property
    def admissible(self) -> list[str]: ...

    def act(self, command: str) -> str: ...


class ALFWorldEnv(GameEnv[Household | GameFile]):
    """Household tasks in text: find an object, treat it as requested, put it where it belongs.

    ## Description
    The actor gets the description of a room and a task (ALFWorld, Shridhar et al. 2021). There are six types:
    ``pick_and_place_simple``, ``look_at_obj_in_light``, ``pick_clean_then_place_in_recep``,
    ``pick_heat_then_place_in_recep``, ``pick_cool_then_place_in_recep``, ``pick_two_obj_and_place``. The built-in world
    generates an unlimited number of rooms and tasks in pure Python, with the wording of ALFWorld's games. A list on the
    wall gives the places of a few objects; real games have none. ``games`` runs ALFWorld's own games through TextWorld.

    ## Observation
    ``UnicodeText(8000)``. First the room, then ``Your task is to: …``. After that the effect of each command, such as
    ``You arrive at shelf 1. On the shelf 1, you see a mug 2, and a pen 1.`` or ``Nothing happens.``

    ## Action
    ``UnicodeText(1000)``: ``go to R``, ``open R``, ``close R``, ``take O from R``, ``move O to R``, ``clean O with R``,
    ``heat O with R``, ``cool O with R``, ``use O``, ``examine X``, ``inventory``, ``look``, ``help``; real games also
    have ``slice O with O``. ``put O in/on R``, the form of older versions and of the published prompts, is read as
    ``move O to R``. Case, spacing, a full stop at the end, and quotes or a ``>`` around a command are ignored. Thoughts
    (``think: …``) are answered by ``OK.``, any other text by ``Nothing happens.``; both cost a turn.

    ## Rewards
    1.0 when the task is solved, 0.0 before. ``info["success"]`` is True when the reward is 1.0.

    ## Starting state
    The task ``options["task_id"]``, or one drawn from split train with ``np_random``.

    ``info`` always holds ``task_id``, ``type``, ``success`` and ``admissible_commands``, a list of all commands that
    have an effect.

    ## Episode end
    Terminated when the task is solved, truncated after ``max_turns`` turns. A real game that hangs or crashes raises
    ``TaskEnvError``: the trial is void and does not count as the actor's failure; the next reset starts a new process.
    The published experiments also end a trial when an action is repeated: ``repeat_limit=2`` of RetroEnv.

    ## Arguments
    - ``games``: ALFWorld's folder ``json_2.1.1`` (or its parent, such as ``"$ALFWORLD_DATA"``; variables are
      expanded). Its folders ``train``, ``valid_seen`` and ``valid_unseen`` are the splits train, validation and test;
      both names of a split are accepted. With any other folder of games **every split is the whole folder**; a mapping
      gives a folder for each split. Needs the extra ``[alfworld]``: TextWorld with its planner, which is GPLv3.
    - ``world_seed``: the seed of the built-in world.
    - ``max_turns``: maximum turns of a trial; by default 10 in the built-in world, 50 in real games.
    - ``command_time_limit``: timeout in seconds for one command of a real game, and for starting it.

    ## Version history
    * v0: first release
    """

    prompt = ALFWORLD_PROMPT
    max_turns = 10
    data = "built in; games=FOLDER: ALFWorld's games, with the extra [alfworld]"

    def __init__(
        self,
        *,
        games: GamePaths | None = None,
        world_seed: int = 0,
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
        self._tasks = BuiltinTasks(world_seed) if games is None else load_games(games)
        if games is not None:
            worker_command()  # raises at once if the extra is missing
        self._game: _Game | None = None

    def _begin(self, task_id: str) -> str:
        task = self.task(task_id)
        self.close()
        self._task = task
        if isinstance(task, Household):
            self._game = HouseholdGame(task)
        else:
            _ = task.data  # raises DataError for an unusable file, before the game starts
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

    # -- actor and teacher -----------------------------------------------------------------------------------------

    def scripted_actor(self, *, temperature: float = 1.0) -> Actor:
        """Returns an actor that reads only the prompt, searches in a fixed order, and follows specific reflections."""
        from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor

        return ScriptedAlfworldActor(temperature)

    @property
    def teacher(self) -> Teacher:
        """A teacher that knows where the objects of a task are, and what to do with them."""
        from retro_gym_envs.alfworld.teacher import AlfworldTeacher

        return AlfworldTeacher(self._tasks)

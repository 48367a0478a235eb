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
_GAMES_AT_ONCE = 48  # fewer than a worker holds, so that it only closes games whose trial has ended


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
    generates an unlimited number of rooms and tasks in pure Python, with the wording of ALFWorld's games. ``games``
    runs ALFWorld's own games through TextWorld.

    ### Causes of failure in the built-in world
    A decision of the actor has five candidates, and only one of them works or is where the object is. Which one is said
    by a sentence that the actor gets at one of the first two receptacles of the room, which it visits in every trial,
    and of which it takes no notice: ``From here you see a dry sinkbasin 2, a running sinkbasin 5, …``.

    | cause | what is wrong | tasks | a reflection that helps |
    |---|---|---|---|
    | ``hidden`` | the object is at one of five other places | all | Take the mug 3 from the cart 1. |
    | ``stuck`` | of five such objects only one can be moved | all | Take the loose mug 4 from the shelf 2. |
    | ``tool`` | only one fridge (sinkbasin, …) works | all but put, puttwo | Cool it with the icy fridge 3. |
    | ``target`` | only one receptacle opens, or is steady | all but examine | Put it in the roomy cabinet 5. |

    A fifth of the tasks has two causes at once. Causes are drawn by the task's seed, alike for every type; neither the
    goal nor the room tells which. The scripted actor chooses at random, and a failed attempt unsettles it for four
    turns, so that a trial has time for one attempt: one trial in six succeeds by luck. It follows what a reflection
    names for a decision. A reflection that speaks for more than two candidates of a decision, that speaks for or
    against more than three, or that contradicts itself confuses it: it has no effect on that decision, and costs two
    turns. What to fetch is one decision: objects of any kind, and their places, are its candidates.

    ### Baselines
    Success at trial 1 in % (200 test tasks, two seeds, scripted actor at temperature 1; solved at trial 0 counts), and
    the share of the reflections that contain the answer, as ``benchmarks/attacks.py`` measures them. A candidate is
    one of the five things that a sentence on what is seen from afar shows; one is advised for each such sentence:

    | policy | success | leak |
    |---|---|---|
    | ``none`` (a plain retry); ``vague``; ``outcome`` | 29.0 each | 0 |
    | ``oracle``; ``rule``; ``told`` (the answer) | 100 each | 0; 0; 100 |
    | ``noisy`` | 47.8 | 0 |
    | ``task_only``; the task's text | 29.0 each | 0 |
    | ``copy``; the observation's first 300; 600; 1,000 characters | 29.0 each | 0 |
    | its last 300; 600; 1,000 characters | 29.0 each | 0 |
    | ``actions``; the same as a mere list | 23.5 each | 0 |
    | ``shotgun``; every name of the trial | 29.0; 26.2 | 0 |
    | one; two; three names of the trial at random | 28.8; 30.8; 29.8 | 0 |
    | the last name; the most frequent name | 29.0; 18.0 | 0 |
    | the first; second; third; last candidate | 31.5; 31.0; 32.8; 27.2 | 0 |
    | a candidate at random; two; one that was not tried | 32.5; 30.0; 30.2 | 0 |
    | a candidate at random, with what the trial says of it | 42.5 | 0 |
    | all candidates; each by itself; each "if it is right" | 26.2 each | 0 |
    | "do not" with what was tried; with the oracle's advice | 32.8; 16.5 | 0 |
    | ``lookup``; the same by the failures; ``shuffled`` | 25.5; 27.8; 27.8 | 0 |
    | the goal alone | 29.0 | 0 |
    | the first object of the task's kind that is seen from afar | 49.8 | 0 |
    | number 1; 2; 5 for every decision | 27.2; 29.8; 25.2 | 0 |
    | number 3 as the tool; as the target; as the place | 29.8; 27.0; 25.5 | 0 |

    Solved at trial 0, in %: 16.5; by cause: hidden 19.1, stuck 18.4, target 13.8, tool 25.0, two 4.3. The observation
    of a failure has 1,632 characters on average, at most 1,909.

    The actor knows which states are bad: told to use the mouldy fridge 3, it avoids that one, which leaves four. So
    advice on any candidate with its state earns more than a plain retry. The first object of the task's kind is all
    that a reflection on ``hidden`` needs.

    On ALFWorld's 140 games of valid_seen, success at trial 1 in % with one seed: none 69.3, rule 70.0, oracle 100,
    told 97.9; of the reflections, 0 % of the rule's and the oracle's and 100 % of told's list the solution. These games
    have none of the causes: an actor that fails has run out of turns in its search, and the oracle says where the
    objects are.

    ### Splits
    Over all 22,000 tasks of world 0, no goal sentence, no pair of object and target, and no room (numbers of
    receptacles of each kind) of one split is in another. The goals of split train have ALFWorld's wordings, those of
    validation and test have others.

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
    * v0: first release. Before it, the built-in rooms lost their list on the wall (argument ``note``), got causes of
      failure, and have 10 turns instead of 12.
    """

    prompt = ALFWORLD_PROMPT
    max_turns = 10
    any_thread = True
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
        self.max_parallel = None if games is None else _GAMES_AT_ONCE
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

    def scripted_actor(self, *, temperature: float = 1.0, thoughts: bool = False) -> Actor:
        """Returns an actor that reads only the prompt, decides by chance, and follows what reflections name."""
        from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor

        return ScriptedAlfworldActor(temperature, thoughts=thoughts)

    @property
    def teacher(self) -> Teacher:
        """A teacher that knows where the objects of a task are, and what works."""
        from retro_gym_envs.alfworld.teacher import AlfworldTeacher

        return AlfworldTeacher(self._tasks)

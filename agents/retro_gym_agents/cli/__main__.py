"""``python -m retro_gym_agents.cli``: the command ``retro-gym``."""

import sys

from retro_gym_agents.cli import main

if __name__ == "__main__":
    sys.exit(main())

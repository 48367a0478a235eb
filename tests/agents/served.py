"""An actor behind a line, for specs: ``python:tests.agents.served:Served``."""

from retro_gym.testing import IdentityActor
from tests.core.test_retro_vector import Server


class Served(Server):
    def __init__(self):
        super().__init__(IdentityActor(), seed=None)

"""The interface of WebShop's task sources: goals, and the shop of each."""

from __future__ import annotations

from abc import abstractmethod

from retro_gym_envs.task_sources import TaskSource
from retro_gym_envs.webshop.catalog import Catalog, Goal
from retro_gym_envs.webshop.pages import LocalShop, Shop

__all__ = ["ShopTasks"]


class ShopTasks(TaskSource[Goal]):
    """Goals, and the products that each is chosen from."""

    @abstractmethod
    def catalog(self, task_id: str) -> Catalog:
        """Returns the products among which the goal can be found.

        Raises:
            UnknownTaskError: no such task.
        """

    def shop(self, task_id: str) -> Shop:
        """Returns the pages on which the goal can be bought.

        Raises:
            UnknownTaskError: no such task.
        """
        return LocalShop(self.catalog(task_id), self.get(task_id))

    def group(self, task_id: str) -> str:
        """Returns the category of the wanted product; empty for WebShop's own goals.

        Raises:
            UnknownTaskError: no such task.
        """
        return self.get(task_id).group

    def cause(self, task_id: str) -> str:
        """Returns what the shop calls by names that the instruction does not tell; empty for WebShop's own goals.

        Raises:
            UnknownTaskError: no such task.
        """
        return self.get(task_id).cause

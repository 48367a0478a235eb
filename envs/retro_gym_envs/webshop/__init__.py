"""WebShop: buying what an instruction asks for."""

from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.env import WebShopEnv

__all__ = ["Catalog", "Goal", "Product", "WebShopEnv"]

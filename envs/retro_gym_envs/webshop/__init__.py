"""WebShop: buying what an instruction asks for, by search and click."""

from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.env import WebShopEnv
from retro_gym_envs.webshop.files import load_shop
from retro_gym_envs.webshop.server import ServerError

__all__ = ["Catalog", "Goal", "Product", "ServerError", "WebShopEnv", "load_shop"]

"""WebShop: buying the product that an instruction describes, by search and click."""

from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.env import WebShopEnv
from retro_gym_envs.webshop.files import load_shop

__all__ = ["Catalog", "Goal", "Product", "WebShopEnv", "load_shop"]

"""A small shop in the form of WebShop's own data files."""

from retro_gym_envs.webshop import Goal


def product(asin, name, query, **more):
    """A row of items_shuffle.json with the keys of the public file."""
    return {
        "name": name,
        "product_information": {},
        "brand": "",
        "full_description": None,
        "pricing": "$18.50",
        "list_price": "",
        "images": ["http://localhost/1.jpg"],
        "product_category": f"Home › Garden › {query}",
        "average_rating": 4.1,
        "small_description": [],
        "customization_options": {},
        "asin": asin,
        "category": "garden",
        "query": query,
        "page": 1,
    } | more


def values(*names):
    return [{"is_selected": False, "url": None, "value": name, "image": None, "asin": "X"} for name in names]


PRODUCTS = [
    product("B00017", "Ansel zinc watering can, stackable", "Watering Cans ", pricing="$18.50"),
    product(
        "B00204",
        "Tarn zinc watering can,  leakproof",
        "watering cans",
        pricing="$27.50",
        customization_options={"Color": values("Blue", " Green/Grey"), "Size": values("small", "Large"), "Style": None},
        small_description=["Leakproof.", "Holds two liters."],
        full_description="A can for the garden.",
    ),
    product("B00093", "Wick clay watering jar, leakproof", "watering jars", pricing="$12.50$15.00"),
    product("nan", "No id", "nothing"),
    product("B000000000X", "An id of eleven characters", "nothing"),
    product("B00017", "The same id again", "nothing"),
    product("B00300", "Quillon bench", "benches", pricing="", small_description="Sturdy.", customization_options=""),
    product("B00301", "Quillon palace bench", "benches", pricing="$1,250.99"),
]
NOTES = {
    "B00017": {
        "attributes": ["stackable"],
        "instruction": "find a stackable can",
        "instruction_attributes": ["stackable"],
    },
    "B00204": {
        "attributes": ["leakproof"],
        "instruction": "find a leakproof can",
        "instruction_attributes": ["leakproof"],
    },
    "B00093": {"attributes": ["leakproof"], "instruction": None, "instruction_attributes": None},
    "B00301": {
        "attributes": ["sturdy", "long lasting"],
        "instruction": "find a bench",
        "instruction_attributes": ["sturdy"],
    },
}
HUMAN = {
    "B00204": [
        {
            "asin": "B00204",
            "instruction": "i need a zinc watering can that is leakproof in green and grey, large.",
            "attributes": ["leakproof"],
            "options": ["color: green | grey", "size: large"],
            "instruction_attributes": ["leakproof"],
            "instruction_options": ["green | grey", "large"],
            "assignment_id": "A",
            "worker_id": "W",
        },
        {"instruction": "anything", "instruction_attributes": [], "instruction_options": []},
    ],
    "B00017": [{"instruction": "a stackable can", "instruction_attributes": ["stackable"], "instruction_options": []}],
    "B99999": [{"instruction": "not sold", "instruction_attributes": ["x"], "instruction_options": []}],
}
GOAL = Goal("g", "i", "B00017", "q", "n", "c", ("x",), (), 30.0)
REVIEWS = [
    {
        "asin": "B00017",
        "average_rating": "4.5",
        "reviews": [{"title": "Fine", "stars": "5.0", "review": "It pours."}, {"title": "Hm", "score": "2.0"}],
    }
]

"""Maps, filters, joins, groups and sorts lists of items, as most Code nodes do."""

import collections
import copy
import itertools
import random
from operator import itemgetter
from typing import Any

Item = dict[str, Any]

CITIES = ["Berlin", "Lagos", "Lima", "Osaka", "Oslo", "Pune", "Quito", "Turin"]
STATES = ["new", "paid", "packed", "sent", "returned"]


def orders(count: int) -> list[Item]:
    """Returns orders that depend on `count` only."""
    rng = random.Random(count)
    return [
        {
            "json": {
                "id": 1000 + i,
                "customer": {
                    "name": f"Customer {i % 97}",
                    "email": f"c{i % 97}@mail.example",
                    "city": rng.choice(CITIES),
                },
                "lines": [
                    {
                        "sku": f"S-{rng.randrange(40):03}",
                        "count": rng.randint(1, 5),
                        "price": rng.randrange(100, 9000) / 100,
                    }
                    for _ in range(rng.randint(1, 4))
                ],
                "state": rng.choice(STATES),
                "note": None if i % 3 else "gift",
            },
            "pairedItem": {"item": i},
        }
        for i in range(count)
    ]


def totals(items: list[Item]) -> list[Item]:
    """Adds fields to every item."""
    result = []
    for item in items:
        data = item["json"]
        total = sum(line["count"] * line["price"] for line in data["lines"])
        result.append({"json": {**data, "total": round(total, 2), "vip": total > 200}})
    return result


def report(items: list[Item]) -> Item:
    """Groups and counts items, and finds the largest of each group."""
    by_city = collections.defaultdict(list)
    states: collections.Counter[str] = collections.Counter()
    for item in items:
        by_city[item["json"]["customer"]["city"]].append(item["json"]["total"])
        states[item["json"]["state"]] += 1
    cities = {
        city: {"n": len(t), "sum": sum(t), "mean": sum(t) / len(t), "max": max(t)}
        for city, t in by_city.items()
    }
    return {
        "cities": dict(sorted(cities.items(), key=lambda pair: -pair[1]["sum"])),
        "states": states.most_common(3),
    }


def join(items: list[Item]) -> list[Item]:
    """Joins items with a second list and drops duplicates."""
    prices: dict[str, Item] = {
        f"S-{i:03}": {"name": f"Thing {i}", "weight": i / 7} for i in range(40)
    }
    seen, rows = set(), []
    for item in items:
        for line in item["json"]["lines"]:
            key = (item["json"]["customer"]["email"], line["sku"])
            if key in seen:
                continue
            seen.add(key)
            product = prices.get(line["sku"], {})
            rows.append(
                {
                    "mail": key[0],
                    "sku": key[1],
                    "name": product.get("name"),
                    "grams": int(product["weight"] * 1000),
                }
            )
    return rows


def pages(rows: list[Item]) -> list[list[Item]]:
    """Sorts rows by two keys and cuts them into pages."""
    rows = sorted(rows, key=lambda row: (row["mail"], -row["grams"]))
    rows.sort(key=itemgetter("sku"))
    batches = [rows[i : i + 50] for i in range(0, len(rows), 50)]
    return [[dict(row, page=n) for row in batch] for n, batch in enumerate(batches)]


def groups(items: list[Item]) -> Item:
    """Groups adjacent items after a sort."""
    ordered = sorted((item["json"] for item in items), key=itemgetter("state", "id"))
    return {
        state: [order["id"] for order in group]
        for state, group in itertools.groupby(ordered, key=itemgetter("state"))
    }


def main() -> None:
    """Runs one round."""
    items = orders(600)
    with_totals = totals(items)
    report(with_totals)
    pages(join(items))
    groups(with_totals)
    changed = copy.deepcopy(items[:80])
    for item in changed:
        item["json"]["customer"].pop("email", None)
        item["json"].setdefault("tags", []).append("checked")
        if "note" in item["json"] and item["json"]["note"] is None:
            del item["json"]["note"]

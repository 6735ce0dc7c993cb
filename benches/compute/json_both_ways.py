"""JSON: a document of orders to text and back, plain and indented."""

import json


def run() -> None:
    """One round."""
    orders = [
        {
            "id": n,
            "customer": {"name": f"Jürgen {n}", "mail": f"j{n}@example.com", "vip": n % 7 == 0},
            "lines": [{"sku": f"A-{n}-{k}", "price": n / 7 + k, "count": k} for k in range(3)],
            "note": None,
        }
        for n in range(2500)
    ]
    text = json.dumps(orders)
    assert json.loads(text) == orders
    assert json.loads(json.dumps(orders, indent=2, sort_keys=True, ensure_ascii=False)) == orders

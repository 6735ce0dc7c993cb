import json, re, math
from datetime import datetime, timedelta


def area(r):
    return math.pi * r**2


class Box:
    def __init__(self, width):
        self.width = width


rows = []
for item in _items:
    data = item["json"]
    day = datetime.fromisoformat(data["created"]) + timedelta(days=1)
    rows.append({"day": day.isoformat(), "slug": re.sub(r"[^a-z]+", "-", data["name"].lower()), "box": Box(3).width})
return {"area": area(2), "rows": rows, "text": json.dumps(rows)}

from collections import defaultdict
from decimal import Decimal
from statistics import median

totals = defaultdict(Decimal)
for item in _items:
    totals[item["json"]["region"]] += Decimal(item["json"]["amount"])

amounts = [Decimal(item["json"]["amount"]) for item in _items]
return [
    {"json": {"region": region, "total": str(total)}}
    for region, total in sorted(totals.items())
] + [{"json": {"median": str(median(amounts))}}]

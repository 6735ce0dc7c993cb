"""Workflow data: CSV rows parsed, joined, grouped, and converted to items."""

import csv
import io
from collections import defaultdict
from datetime import date, datetime, timedelta


def table(rows: int) -> str:
    """Orders as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "customer", "day", "amount", "note"])
    start = datetime(2026, 1, 1, 8, 30)
    for n in range(rows):
        moment = start + timedelta(hours=n * 5)
        writer.writerow(
            [n, f"c{n % 50}", moment.isoformat(), f"{n * 1.25:.2f}", 'says "hi", twice']
        )
    return out.getvalue()


def run() -> None:
    """One round."""
    customers = {f"c{n}": {"name": f"Customer {n}", "region": "NSEW"[n % 4]} for n in range(50)}
    totals: defaultdict[tuple[str, str], float] = defaultdict(float)
    last: dict[str, date] = {}
    items = []
    for row in csv.DictReader(io.StringIO(table(6000))):
        moment = datetime.fromisoformat(row["day"])
        customer = customers[row["customer"]]
        totals[customer["region"], moment.strftime("%Y-%m")] += float(row["amount"])
        last[row["customer"]] = max(moment.date(), last.get(row["customer"], date.min))
        items.append(
            {
                "json": {
                    **row,
                    **customer,
                    "week": moment.isocalendar().week,
                    "amount": float(row["amount"]),
                }
            }
        )
    assert len(items) == 6000 and abs(sum(totals.values()) - 1.25 * 5999 * 3000) < 1e-3
    assert max(last.values()) == date(2029, 6, 4), max(last.values())

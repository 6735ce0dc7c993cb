def price(row):
    return float(row["price"]) / row["pieces"]

return [{"json": {"each": price(item["json"])}} for item in _items]

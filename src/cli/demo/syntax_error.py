total = 0
for item in _items
    total += item["json"]["n"]
return total

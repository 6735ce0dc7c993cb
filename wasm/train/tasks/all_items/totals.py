total = 0
for item in _items:
    total += item["json"].get("price", 0)
print("total", total)
return {"total": total}

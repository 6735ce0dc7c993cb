print("rows:", len(_items))
for item in _items:
    print(item["json"])
return []

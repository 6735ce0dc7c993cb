def check(item):
    raise ValueError("no such thing: %s" % item["json"]["name"])


for item in _items:
    check(item)

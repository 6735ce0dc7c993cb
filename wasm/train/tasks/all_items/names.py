names = {i["json"]["name"].strip().title() for i in _items if i["json"].get("active")}
try:
    names.remove("Nobody")
except KeyError as error:
    print(repr(error))
return sorted(names, key=lambda name: (len(name), name))

import sys
import types

# Training programs of the parent directory. `data` imports `items`, so `items` comes first.
order = ["items", "text", "data", "numbers_", "programs"]
texts = {item["json"]["name"]: item["json"]["text"] for item in _items}
for name in order:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(texts[name], name, "exec"), module.__dict__)
for name in order:
    sys.modules[name].main()
return None

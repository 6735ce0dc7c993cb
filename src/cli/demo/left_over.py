import builtins

seen = getattr(builtins, "left_by_an_earlier_task", "nothing")
builtins.left_by_an_earlier_task = "a secret"
return seen

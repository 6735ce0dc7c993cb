"""Which modules and built-ins user code may use, if the host limits them.

- `policy`: the lists of one task, and the stand-ins for modules
- `inspection`: checks code before it runs
- `guards`: replaces functions that could bypass the policy
"""

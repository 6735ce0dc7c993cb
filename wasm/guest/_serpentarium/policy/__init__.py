"""Which modules and built-ins user code may use, if the host limits them.

This is the policy of n8n's own runner. It is no security boundary: WebAssembly is.

- `policy`: the lists of one task, and the stand-ins for modules
- `hints`: which setting decides a violation
- `inspection`: checks code before it runs
- `guards`: the table of replaced functions, and their installation
- `dynamic_code`: guards of `compile`, `exec` and `eval`
- `attributes`: guards of functions that take the name of an attribute
- `pickles`: guards of `pickle`
- `library`: guards of library modules that import or evaluate text for their callers
- `readers`: guards of library modules that read or write attributes by name for their callers
- `templates`: guards of `str.format`
"""

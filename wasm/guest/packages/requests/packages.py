"""The packages under `requests`, also by the names `requests.packages.…`.

The module of this name calls `__import__` without globals. Such a call follows n8n's lists, which
need not name these packages.
"""

import sys

import charset_normalizer
import idna
import urllib3

__all__ = ["chardet", "idna", "urllib3"]

chardet = charset_normalizer

for _name, _module in list(sys.modules.items()):
    _top = _name.partition(".")[0]
    if _top in ("charset_normalizer", "idna", "urllib3"):
        sys.modules[f"requests.packages.{_name}"] = _module
        if _top == "charset_normalizer":
            _other = _name.replace(_top, "chardet", 1)
            sys.modules[f"requests.packages.{_other}"] = _module

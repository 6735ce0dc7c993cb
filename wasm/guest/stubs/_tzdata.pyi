"""The time zone database (wasm/recipe/stdlib.py)."""

NAMES: frozenset[str]
ZONES: dict[str, bytes]

"""The texts of `pydoc`: `topics` reads them from the module `_help_texts`."""

"""The modules that the data image imports before the snapshot."""

NAMES = ["numpy", "pandas", "_serpentarium_data"]

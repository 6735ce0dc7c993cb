"""Measures programs by the fuel that they consume.

The host records its fuel counter at each notification. This package sends one at the right moment.
It is loaded before the snapshot and used only if the settings contain `measure`.

- `measure`: the kinds of measurement
- `spans`: the notifications around the measured code
- `benchmarks`: functions `bench_…` of a file
- `marks`: calls in a program's text that notify the host of its lines
- `profile`: notifies the host of lines and calls
"""

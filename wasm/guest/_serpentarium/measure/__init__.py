"""Measures programs by the fuel that they consume.

- `measure`: named benchmarks, and spans around whole programs
- `marks`: calls in a program's text that notify the host of its lines
- `profile`: notifies the host of lines and calls
"""

"""Texts put together: f-strings, format, percent, padding, templates."""

from string import Template


def run() -> None:
    """One round."""
    template = Template("Dear $name, your balance is $balance.")
    total = 0
    for n in range(12_000):
        amount = n * 1.375
        total += len(f"{n:>8} | {amount:12,.2f} | {n:#x} | {n % 97:03}")
        total += len("{0:<10}|{1:^9.3f}|{name!r}".format(n, amount, name="x"))
        total += len("%05d %s %.1f%%" % (n, "text", amount))
        if n % 4 == 0:
            total += len(template.substitute(name=f"n{n}", balance=amount))
    assert total == 1_065_750, total

"""`print`: n8n shows it in the browser's console for a manual run, and in its log here."""

from case import Case

CASES = [
    Case(
        name="print shows texts in quotes, numbers and JSON",
        code="print('text', 1, 2.5, None, True, {'a': ['ä']}, [1])\nreturn []",
        printed=["""'text' 1 2.5 None True {"a": ["ä"]} [1]"""],
    ),
    Case(
        name="each print is a line of its own, in order",
        items=[{"n": 1}, {"n": 2}],
        each=True,
        code="print(_item['json']['n'])\nreturn _item",
        printed=["1", "2"],
        answers=[[{"n": 1}, {"n": 2}]],
    ),
    Case(
        name="prints before an error are kept",
        code="print('before')\nraise ValueError('after')",
        printed=["'before'"],
        error={"message": "after"},
    ),
    Case(
        name="standard error is shown with a mark",
        code="import logging, sys\nprint('out')\nlogging.warning('careful')\n"
        "print('\\x1b[2Jforged', file=sys.stderr)\nreturn []",
        printed=["'out'", "[stderr] WARNING:root:careful", "[stderr] \\u{1b}[2Jforged"],
        not_printed=["\x1b[2Jforged"],
    ),
    Case(
        name="a note follows the hundredth print",
        code="for n in range(103):\n    print(n)\nreturn []",
        printed=["99", "[Output truncated - 3 more print statements]"],
        not_printed=['[Node "Python"] 100\n'],
    ),
    Case(
        name="a circular value can be printed",
        code="x = {}\nx['x'] = x\nprint(x)\nreturn []",
        printed=["[Circular dict]"],
    ),
]

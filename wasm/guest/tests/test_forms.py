"""Forms of values that JSON does not know."""

import unittest

from guest import HOST, run_all, run_each, run_program

_IMPORTS = """\
import array, asyncio, collections, dataclasses, datetime, decimal, enum, fractions, functools
import io, ipaddress, itertools, math, pathlib, re, types, uuid, zoneinfo
"""


def _result(code: str) -> object:
    return run_program(_IMPORTS + code).result


def _message(code: str) -> str:
    return str(run_program(_IMPORTS + code).error["message"])


class FormsTest(unittest.TestCase):
    def test_texts(self) -> None:
        for code, text in (
            ("datetime.datetime(2024, 1, 31, 10, 30)", "2024-01-31 10:30:00"),
            ("datetime.datetime(2024, 1, 31, tzinfo=datetime.UTC)", "2024-01-31 00:00:00+00:00"),
            ("datetime.date(2024, 1, 31)", "2024-01-31"),
            ("datetime.time(10, 30)", "10:30:00"),
            ("datetime.timedelta(days=1, hours=2)", "1 day, 2:00:00"),
            ("decimal.Decimal('1.10')", "1.10"),
            ("fractions.Fraction(1, 3)", "1/3"),
            ("uuid.UUID(int=5)", "00000000-0000-0000-0000-000000000005"),
            ("pathlib.PurePosixPath('/a/b')", "/a/b"),
            ("ipaddress.ip_address('10.0.0.1')", "10.0.0.1"),
            ("zoneinfo.ZoneInfo('Europe/Oslo')", "Europe/Oslo"),
            ("1 + 2j", "(1+2j)"),
            ("slice(1, 2)", "slice(1, 2, None)"),
            ("collections.UserString('x')", "x"),
            ("ValueError('bad')", "bad"),
            ("ValueError()", "ValueError"),
        ):
            with self.subTest(code):
                self.assertEqual(_result(f"return [{code}, float('nan')]"), [text, None])

    def test_lists(self) -> None:
        for code, values in (
            ("(x * 2 for x in [1, 2])", [2, 4]),
            ("map(str, [1])", ["1"]),
            ("filter(None, [0, 1])", [1]),
            ("zip('ab', [1, 2])", [["a", 1], ["b", 2]]),
            ("enumerate('a')", [[0, "a"]]),
            ("reversed([1, 2])", [2, 1]),
            ("iter([1])", [1]),
            ("itertools.chain([1], [2])", [1, 2]),
            ("itertools.groupby('a')", [["a", []]]),
            ("{'b': 1, 'a': 2}.keys()", ["b", "a"]),
            ("{'b': 1}.values()", [1]),
            ("{'b': 1}.items()", [["b", 1]]),
            ("collections.OrderedDict(b=1).keys()", ["b"]),
            ("range(3)", [0, 1, 2]),
            ("{3, 1, 2}", [1, 2, 3]),
            ("frozenset('cab')", ["a", "b", "c"]),
            ("{datetime.date(2024, 2, 1), datetime.date(2024, 1, 1)}",
             ["2024-01-01", "2024-02-01"]),
            ("collections.deque([1, 2])", [1, 2]),
            ("collections.UserList([1])", [1]),
            ("array.array('i', [1, 2])", [1, 2]),
            ("memoryview(b'ab')", [97, 98]),
            ("collections.namedtuple('P', 'x y')(1, [2])", [1, [2]]),
            ("re.split(',', 'a,b')", ["a", "b"]),
        ):  # fmt: skip
            with self.subTest(code):
                self.assertEqual(_result(f"return {code}"), values)
                self.assertEqual(_result(f"return {{'a': [{code}]}}"), {"a": [values]})

    def test_a_set_without_an_order_keeps_all_values(self) -> None:
        values = _result("return {1, 'a'}")
        self.assertCountEqual(values, [1, "a"])  # type: ignore[arg-type]

    def test_an_iterator_has_the_same_values_twice(self) -> None:
        self.assertEqual(_result("g = iter('ab')\nreturn [g, g]"), [["a", "b"]] * 2)

    def test_objects(self) -> None:
        for code, value in (
            ("@dataclasses.dataclass\nclass P:\n x: int\n y: object = None\nreturn P(1, P({2}))",
             {"x": 1, "y": {"x": [2], "y": None}}),
            ("return types.SimpleNamespace(a=1)", {"a": 1}),
            ("class O:\n def __init__(self): self.v, self._w = 1, 2\nreturn O()", {"v": 1}),
            ("class O:\n __slots__ = ('v',)\no = O()\no.v = 1\nreturn o", {"v": 1}),
            ("class O:\n def __init__(self): self.v = 1\n def __repr__(self): return 'O!'\n"
             "return O()", {"v": 1}),
            ("class O:\n def __str__(self): return 'text'\nreturn O()", "text"),
            ("class O:\n def __repr__(self): return 'O(1)'\nreturn O()", "O(1)"),
            ("class O:\n def __iter__(self): return iter([1])\nreturn O()", [1]),
            ("return collections.Counter('aa')", {"a": 2}),
            ("return collections.ChainMap({'a': 1}, {'b': 2})", {"a": 1, "b": 2}),
            ("return types.MappingProxyType({'a': {1}})", {"a": [1]}),
            ("class E(enum.Enum): A = 'a'\nreturn [E.A, {E.A: E}['x'] if 0 else 1]", ["a", 1]),
            ("class E(enum.Enum): A = datetime.date(2024, 1, 1)\nreturn {E.A: E.A}",
             {"2024-01-01": "2024-01-01"}),
            ("class E(enum.IntEnum): A = 1\nreturn [{E.A: E.A}, {2}]", [{"1": 1}, [2]]),
            ("class E(enum.StrEnum): A = 'a'\nreturn [{E.A: E.A}, {2}]", [{"a": "a"}, [2]]),
            ("class E(enum.Flag): A = 1; B = 2\nreturn E.A | E.B", 3),
        ):  # fmt: skip
            with self.subTest(code):
                self.assertEqual(_result(code), value)

    def test_keys(self) -> None:
        for code, value in (
            ("{(1, 'a'): 1}", {"(1, 'a')": 1}),
            ("{(datetime.date(2024, 1, 1), 'a'): 1}", {"('2024-01-01', 'a')": 1}),
            ("{decimal.Decimal('1.0'): 1, uuid.UUID(int=1): 2}",
             {"1.0": 1, "00000000-0000-0000-0000-000000000001": 2}),
            ("{pathlib.PurePosixPath('/a'): 1}", {"/a": 1}),
            ("{float('nan'): 1, float('inf'): 2, 1.5: 3, True: 4, None: 5}",
             {"NaN": 1, "Infinity": 2, "1.5": 3, "true": 4, "null": 5}),
        ):  # fmt: skip
            with self.subTest(code):
                self.assertEqual(_result(f"return {code}"), value)

    def test_an_error_names_the_key_path(self) -> None:
        for code, message in (
            ("def main(): pass\nreturn main", "Result: a function; call it: main()"),
            ("def f(): pass\nreturn [{'json': {'total': f}}]",
             "Result [0].json.total: a function; call it: f()"),
            ("async def f(): pass\nreturn {'a b': [1, f]}",
             "Result ['a b'][1]: a coroutine function; call it and await the result: await f()"),
            ("return {1: lambda: 1}", "Result [1]: a lambda; call it"),
            ("return {'a': 'x'.upper}", "Result a: a builtin_function_or_method; call it"),
            ("class P:\n def m(self): pass\nreturn [P().m]", "Result [0]: a method; call it"),
            ("return [functools.partial(print)]", "Result [0]: a partial; call it"),
            ("class P: pass\nreturn {'p': P}", "Result p: the class P; make an instance: P()"),
            ("class P: pass\nreturn {'p': P()}",
             "Result p: an object of the class P; return its values"),
            ("return {'m': math}", "Result m: a module; return a value of it"),
            ("return {'m': re.match('a', 'a')}",
             "Result m: an object of the class Match; return its values"),
            ("return {'m': object()}",
             "Result m: an object of the class object; return its values"),
            ("return {'m': io.StringIO('a')}", "Result m: a file object (StringIO); return its"
             " content: .getvalue() or .read()"),
            ("return {'m': ...}", "Result m: an ellipsis (...); put a value in its place"),
            ("return [b'a']", "Result [0]: bytes; make it text: .decode(), .hex() or"
             " base64.b64encode(…).decode()"),
            ("return {'a': {b'k': 1}}",
             "Result a[<bytes>]: a key that is no text; use str, int or a date as the key"),
            ("return {print: 1}", "Result [<function>]: a key that is no text;"
             " use str, int or a date as the key"),
            ("return {'a': itertools.count()}", "Result a: more than 1,000,000 values, perhaps"
             " without end; return a list"),
            ("return {'a': range(10**12)}", "Result a: more than 1,000,000 values, perhaps"
             " without end; return a list"),
            ("d = {}\nfor i in range(30): d = {'k': d} if i else {'k': print}\nreturn d",
             f"Result …{'.k' * 20}: a function; call it: print()"),
            ("return {'k' * 99: print}", f"Result ['{'k' * 50}'…]:"
             " a function; call it: print()"),
        ):  # fmt: skip
            with self.subTest(code):
                self.assertEqual(_message(code), message)

    def test_a_returned_awaitable_is_awaited(self) -> None:
        for code, value in (
            ("async def f(): return {1}\nreturn f()", [1]),
            ("async def f(): return 1\nasync def g(): return f()\nreturn g()", 1),
            ("async def f():\n await asyncio.sleep(0)\n yield 1\nreturn f()", [1]),
            ("import sys\nasync def f(): sys.exit()\nreturn f()", None),
            ("async def f(): return 1\nawait asyncio.sleep(0)\nreturn f()", 1),
            ("async def f(): return 1\nawait asyncio.sleep(0)\nreturn asyncio.gather(f(), f())",
             [1, 1]),
            ("async def f(): return 1\nt = asyncio.ensure_future(f())\n"
             "await asyncio.sleep(0)\nreturn t", 1),
        ):  # fmt: skip
            with self.subTest(code):
                self.assertEqual(_result(code), value)

    def test_an_awaitable_inside_a_result_is_an_error(self) -> None:
        error = _message("async def f(): pass\nreturn [f()]")
        self.assertEqual(error, "Result [0]: a coroutine; await it")

    def test_an_exception_of_the_users_code_is_reported(self) -> None:
        for code in (
            "def f():\n    yield 1\n    raise ValueError('mine')\nreturn {'a': f()}",
            "class P:\n  def __str__(self):\n    raise ValueError('mine')\nreturn {'a': P()}",
            "async def f():\n\n    raise ValueError('mine')\nreturn f()",
        ):
            with self.subTest(code):
                error = run_program(code).error
                self.assertEqual((error["message"], error["lineNumber"]), ("mine", 3))

    def test_cycles_and_depth_are_errors(self) -> None:
        for code, message in (
            ("d = collections.deque()\nd.append(d)\nreturn d", "contains a circular reference"),
            ("n = types.SimpleNamespace()\nn.n = [n]\nreturn n", "contains a circular reference"),
            ("def f():\n  while True: yield f()\nreturn f()", "nested too deeply"),
            ("d = {1}\nfor i in range(2000): d = [d]\nreturn d", "nested too deeply"),
        ):
            with self.subTest(code):
                self.assertIn(message, _message(code.replace("while True", "for _ in '1'")))

    def test_binary_data_takes_bytes(self) -> None:
        for data in ("b'hi'", "bytearray(b'hi')", "memoryview(b'hi')"):
            item = f"{{'json': {{}}, 'binary': {{'file': {{'data': {data}}}}}}}"
            expected = {"json": {}, "binary": {"file": {"data": "aGk="}}}
            with self.subTest(data):
                self.assertEqual(run_all(f"return [{item}]").result, [expected])
                self.assertEqual(run_all(f"return {item}").result, expected)
                self.assertEqual(
                    run_each(f"return {item}", [1]).result,
                    [{**expected, "pairedItem": {"item": 0}}],
                )

    def test_each_item_takes_the_same_forms(self) -> None:
        for code, value in (
            ("async def f(): return {'json': {'a': {1}}}\nreturn f()", {"a": [1]}),
            ("from types import SimpleNamespace\nreturn SimpleNamespace(a=1)", {"a": 1}),
            ("return {'a': (x for x in [1])}", {"a": [1]}),
        ):
            with self.subTest(code):
                [item] = run_each(code, [1]).result
                self.assertEqual(item["json"], value)

    def test_an_awaited_none_drops_its_item(self) -> None:
        self.assertEqual(run_each("async def f(): pass\nreturn f()", [1]).result, [])

    def test_an_error_names_the_item(self) -> None:
        code = "if _item['json']: return None\nreturn {'json': {'f': print}}"
        error = run_each(code, [1, 1, 0]).error
        message = "Result json.f: a function; call it: print()"
        self.assertEqual(error, {"message": message, "context": {"itemIndex": 2}})
        code = "def f():\n  yield 1\n  1 / 0\nreturn {'a': f() if not _item['json'] else iter('')}"
        self.assertEqual(run_each(code, [1, 0]).error["context"], {"itemIndex": 1})

    def test_static_data_and_parameters_take_the_same_forms(self) -> None:
        HOST.answers = {"taskData": {"workflow": {"staticData": {}}}, "helpers.httpRequest": {}}
        static = "d = _get_workflow_static_data('global')\n"
        effects = run_all(static + "d['seen'] = {2, 1}").effects
        self.assertEqual(effects["staticData"], {"global": {"seen": [1, 2]}})
        error = run_all(static + "d['f'] = print").error
        self.assertEqual(error["message"], "Static data global.f: a function; call it: print()")
        run_all("_helpers.http_request('http://x', json={'a': {1}})")
        self.assertIn([1], str(HOST.called) and [HOST.called[-1][1][0]["body"]["a"]])
        error = run_all("_helpers.http_request('http://x', json={'a': print})").error
        self.assertIn("body.a: a function; call it: print()", error["message"])
        self.assertEqual(error["lineNumber"], 1)

    def test_integers_obey_the_limit_of_digits(self) -> None:
        many = "import sys\nsys.set_int_max_str_digits(4300)\nreturn {'n': 10**5000}"
        error = run_program(many).error
        message = "Result n: an integer with too many digits; return it as text"
        self.assertEqual(error["message"], message)


if __name__ == "__main__":
    unittest.main()

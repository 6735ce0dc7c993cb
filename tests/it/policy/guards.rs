//! Guards behave like the built-ins and library functions that they replace.

use super::*;

#[tokio::test]
async fn text_codecs_are_there_under_every_policy() {
    let xml = "import xml.etree.ElementTree as e\nreturn e.tostring(e.fromstring('<a><b/></a>')).decode()";
    let zip = "import zipfile, io\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w') as z: z.writestr('a', 'b')\nreturn zipfile.ZipFile(b).namelist()";
    let header = "from email.header import decode_header, make_header\nreturn str(make_header(decode_header('=?iso-8859-2?q?p=F6stal?=')))";
    for (stdlib, code, expected) in [
        ("", "return 'é'.encode('cp1252').decode('cp1252')", json!("é")),
        ("", "return '\\ufeffa'.encode().decode('utf-8-sig')", json!("a")),
        ("", "return 'é'.encode('iso-8859-15').hex()", json!("e9")),
        ("", "return b'\\x82\\xa0'.decode('shift_jis')", json!("あ")),
        ("", "return 'é'.encode('idna').decode()", json!("xn--9ca")),
        ("", "return 'é'.encode('unicode_escape').decode()", json!("\\xe9")),
        ("", "return str(b'x', 'cp437')", json!("x")),
        (
            "",
            "try: 'a'.encode('nope')\nexcept LookupError as error: return str(error)",
            json!("unknown encoding: nope"),
        ),
        ("codecs", "import codecs\nreturn codecs.encode('abc', 'rot13')", json!("nop")),
        ("xml", xml, json!("<a><b /></a>")),
        ("zipfile io", zip, json!(["a"])),
        ("email", header, json!("pöstal")),
        (
            "urllib",
            "import urllib.parse as p\nreturn p.parse_qs('a=%E9', encoding='cp1252')",
            json!({ "a": ["é"] }),
        ),
        (
            "io",
            "import io\nreturn io.TextIOWrapper(io.BytesIO(b'\\xe9'), 'cp1252').read()",
            json!("é"),
        ),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn guarded_functions_work_as_before() {
    for (stdlib, code, expected) in [
        (
            "",
            "return [eval('1 + a', {'a': 2}), eval(compile('3', 'f', 'eval')), eval(b'4'), eval(memoryview(b'5'))]",
            json!([3, 3, 4, 5]),
        ),
        (
            "",
            "x = {}\nexec(compile('def f(): return 6', 'f', 'exec'), x)\nreturn x['f']()",
            json!(6),
        ),
        (
            "ast",
            "import ast\nreturn [ast.literal_eval('[1]'), eval(compile(ast.parse('1 + 1', mode='eval'), 'f', 'eval'))]",
            json!([[1], 2]),
        ),
        (
            "typing",
            "from typing import Pattern, ContextManager\nreturn str(Pattern[str])",
            json!("typing.Pattern[str]"),
        ),
        (
            "concurrent",
            "import concurrent.futures\nreturn str(concurrent.futures.ThreadPoolExecutor)",
            json!("<class 'concurrent.futures.thread.ThreadPoolExecutor'>"),
        ),
        (
            "typing",
            "import typing\nreturn [hasattr(typing, 'nope'), hasattr(typing, 'sys')]",
            json!([false, false]),
        ),
        (
            "typing",
            "import typing\nclass A:\n  x: 'int'\ndef f(a: 'int | None') -> 'list[str]': pass\nreturn str([typing.get_type_hints(A), typing.get_type_hints(f)])",
            json!("[{'x': <class 'int'>}, {'a': int | None, 'return': list[str]}]"),
        ),
        (
            "inspect",
            "import inspect\ndef f(a, b: 'int' = 1): pass\nreturn [str(inspect.signature(f)), str(inspect.signature(len)), str(inspect.get_annotations(f, eval_str=True))]",
            json!(["(a, b: 'int' = 1)", "(obj, /)", "{'b': <class 'int'>}"]),
        ),
        (
            "functools",
            "import functools\ndef d(f):\n  @functools.wraps(f)\n  def g(): return f() + 1\n  return g\n@d\ndef two():\n  'doc'\n  return 1\nreturn [two(), two.__doc__, repr(two).split()[1]]",
            json!([2, "doc", "two"]),
        ),
        (
            "functools",
            "import functools\n@functools.singledispatch\ndef f(x): return 'o'\n@f.register\ndef _(x: int): return 'i'\nreturn [f(1), f('')]",
            json!(["i", "o"]),
        ),
        (
            "operator",
            "import operator\nreturn [sorted([3, -1], key=operator.attrgetter('real')), operator.attrgetter('real', 'imag')(3), operator.methodcaller('upper')('a')]",
            json!([[-1, 3], [3, 0], "A"]),
        ),
        (
            "string",
            "import string\nclass F(string.Formatter):\n  def get_value(self, key, args, kwargs): return 7\nreturn [F().format('{x}'), string.Formatter().format('{a.real} {b[0]}', a=2, b=[3])]",
            json!(["7", "2 3"]),
        ),
        (
            "enum",
            "import enum\nclass A(enum.Flag):\n  X = enum.auto()\n  Y = enum.auto()\nreturn [str(A.X | A.Y), enum.Enum('B', 'c d').d.value]",
            json!(["A.X|Y", 2]),
        ),
        (
            "dataclasses",
            "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass P:\n  x: int\n  y: 'int' = 2\nreturn [dataclasses.asdict(P(1)), dataclasses.asdict(dataclasses.make_dataclass('Q', ['a'])(3))]",
            json!([{ "x": 1, "y": 2 }, { "a": 3 }]),
        ),
        (
            "timeit",
            "import timeit\nr = []\ntimeit.timeit('r.append(len([1]))', number=2, globals={'r': r})\nreturn [r, timeit.timeit(lambda: 0, number=1) >= 0]",
            json!([[1, 1], true]),
        ),
        ("cProfile", "import cProfile\nreturn cProfile.Profile().runcall(len, 'a')", json!(1)),
        ("", "print('x', 1)\nreturn callable(help)", json!(true)),
        (
            "pickle collections datetime",
            "import pickle, collections, datetime\nvalues = [1+2j, range(3), {1}, bytearray(b'x'), slice(1, 2), int, b'x', ..., collections.defaultdict(int, a=1), datetime.date(2024, 1, 1)]\nreturn [n for n in range(6) for v in values if pickle.loads(pickle.dumps(v, n)) != v]",
            json!([]),
        ),
        (
            "pickle",
            "import pickle\nreturn [repr(pickle.loads(pickle.dumps(ValueError('x')))), pickle.loads(pickle.dumps(len)) is len]",
            json!(["ValueError('x')", true]),
        ),
        (
            "pickle io",
            "import pickle, io\nb = io.BytesIO()\np = pickle.Pickler(b)\np.dump([1j])\np.dump('b')\nb.seek(0)\nu = pickle.Unpickler(b)\nreturn [str(u.load()), u.load(), str(pickle.load(io.BytesIO(b.getvalue())))]",
            json!(["[1j]", "b", "[1j]"]),
        ),
        (
            "pickle io",
            "import pickle, io\nclass U(pickle.Unpickler):\n  def find_class(self, module, name):\n    return 5 if name == 'complex' else super().find_class(module, name)\nreturn U(io.BytesIO(b'cbuiltins\\ncomplex\\n.')).load()",
            json!(5),
        ),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn a_dataclass_has_no_field_whose_name_is_code() {
    let code = "import dataclasses\nname = ''.join(['__annotations', '__'])\nreturn dataclasses.dataclass(type('A', (), {name: {'x, y': int}}))";
    let error = refused(allow("dataclasses"), code).await;
    assert_eq!(error.message, "Field names must be valid identifiers: 'x, y'");
}

#[tokio::test]
async fn builtins_that_are_denied_are_not_there() {
    let deny = |names| Policy { builtins_deny: list(names), ..Policy::default() };
    let error = refused(deny("eval open"), "x = 1\nreturn eval('1')").await;
    assert_eq!(
        (own_text(&error.message), error.line_number),
        ("name 'eval' is not defined", Some(2))
    );
    assert_eq!(
        refused(deny("eval"), "import builtins\nreturn builtins.eval").await.line_number,
        Some(2)
    );
    assert_eq!(
        refused(deny("eval"), "import codecs\nreturn codecs.builtins.eval").await.line_number,
        Some(2)
    );
    let error = refused(deny("__build_class__"), "class A: pass").await;
    assert_eq!(own_text(&error.message), "__build_class__ not found");
    let everything_else = "import dataclasses, json, collections\nP = collections.namedtuple('P', 'x')\nreturn [P(1).x, len('ab'), json.dumps(1)]";
    assert_eq!(
        result_under(deny("eval exec compile getattr open"), everything_else).await,
        json!([1, 2, "1"])
    );
}

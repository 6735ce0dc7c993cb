//! What user code may import and call under a policy, and what it tries to get round it.

mod common;

use std::collections::BTreeSet;

use common::{raised, returned, run};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    protocol::{HostSettings, NodeMode, Policy, TaskSettings},
    sandbox::{End, Exception, Job, Limits, Outcome},
};

fn list(names: &str) -> Option<BTreeSet<String>> {
    Some(names.split_whitespace().map(str::to_owned).collect())
}

/// Nothing may be imported but these; everything else is open.
fn allow(stdlib: &str) -> Policy {
    Policy { stdlib_allow: list(stdlib), ..Policy::default() }
}

async fn run_under(policy: Policy, code: &str) -> Outcome {
    let mut settings = TaskSettings::new(code, NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    settings.serpentarium = Some(HostSettings { policy: Some(policy), ..HostSettings::default() });
    run(Job { input: settings.to_input().unwrap(), limits: Limits::default(), deterministic: None }).await
}

async fn result_under(policy: Policy, code: &str) -> Value {
    returned(&run_under(policy, code).await)
}

async fn refused(policy: Policy, code: &str) -> Exception {
    raised(&run_under(policy, code).await).clone()
}

fn violations(exception: &Exception) -> Vec<&str> {
    assert_eq!(exception.message, "Security violations detected", "{exception:?}");
    exception.description.as_ref().unwrap().lines().collect()
}

#[tokio::test]
async fn an_import_that_is_allowed_is_obeyed() {
    for (stdlib, code, expected) in [
        ("json", "import json\nreturn json.loads('[1]')", json!([1])),
        ("json", "from json import loads as l\nreturn l('[1]')", json!([1])),
        ("json", "import json.decoder\nreturn json.decoder.JSONDecoder().decode('2')", json!(2)),
        ("os", "import os.path as p\nreturn p.join('a', 'b')", json!("a/b")),
        ("os.path", "import os.path\nreturn os.path.join('a', 'b')", json!("a/b")),
        ("os.path", "import os.path\nreturn hasattr(os, 'getpid')", json!(false)),
        ("collections", "from collections.abc import Mapping\nreturn isinstance({}, Mapping)", json!(true)),
        ("*", "import os, sys, json, importlib\nreturn 1", json!(1)),
        ("re math", "from math import floor\nimport re\nreturn [floor(2.5), re.sub('a', 'b', 'aa')]", json!([2, "bb"])),
        ("xml", "import xml.etree.ElementTree as e\nreturn e.fromstring('<a>1</a>').text", json!("1")),
        ("json", "m = __import__('json')\nreturn m.dumps([1])", json!("[1]")),
        ("importlib json", "import importlib\nreturn importlib.import_module('json').dumps(1)", json!("1")),
        (
            "importlib json",
            "import importlib\nreturn importlib.import_module('.decoder', 'json').JSONDecoder().decode('true')",
            json!(true),
        ),
        ("json", "import json\nreturn type(json) is type(__import__('json'))", json!(true)),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn an_import_that_is_not_allowed_is_violated_and_all_are_named_at_once() {
    let code = "import os\nfrom sys import path\nimport json, requests\nfrom . import x\nimport os.path\ndef f():\n  import re as r";
    let error = refused(allow("re json"), code).await;
    assert_eq!(error.line_number, Some(1));
    let expected = [
        "Line 1: Import of standard library module 'os' is disallowed. Allowed stdlib modules: json, re",
        "Line 2: Import of standard library module 'sys' is disallowed. Allowed stdlib modules: json, re",
        "Line 4: Relative imports are disallowed.",
    ];
    assert_eq!(violations(&error), expected);
    let policy = Policy { external_allow: list(""), ..allow("") };
    let error = refused(policy, "import json\n\nimport numpy.linalg").await;
    let expected = [
        "Line 1: Import of standard library module 'json' is disallowed. Allowed stdlib modules: none",
        "Line 3: Import of external package 'numpy.linalg' is disallowed. Allowed external packages: none",
    ];
    assert_eq!(violations(&error), expected);
}

#[tokio::test]
async fn nothing_of_the_code_runs_where_any_of_it_is_not_allowed() {
    let echo = std::sync::Arc::new(common::Echo::default());
    let mut settings =
        TaskSettings::new("print('ran')\nimport os", NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    settings.serpentarium = Some(HostSettings { policy: Some(allow("")), ..HostSettings::default() });
    let job = Job { input: settings.to_input().unwrap(), limits: Limits::default(), deterministic: None };
    let outcome = common::sandbox().run(job, echo.clone()).await;
    assert_eq!(raised(&outcome).line_number, Some(2));
    assert!(echo.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_standard_library_imports_its_own_parts() {
    for (stdlib, code, expected) in [
        ("datetime", "import datetime\nreturn datetime.datetime.strptime('2024-05-06', '%Y-%m-%d').day", json!(6)),
        (
            "asyncio",
            "import asyncio\nasync def f():\n  await asyncio.sleep(0)\n  return 5\nreturn asyncio.run(f())",
            json!(5),
        ),
        (
            "zoneinfo datetime",
            "from zoneinfo import ZoneInfo\nfrom datetime import datetime\nreturn datetime(2024, 7, 1, tzinfo=ZoneInfo('Europe/Oslo')).isoformat()",
            json!("2024-07-01T00:00:00+02:00"),
        ),
        (
            "decimal",
            "from decimal import Decimal, getcontext\ngetcontext().prec = 5\nreturn str(Decimal(1) / 3)",
            json!("0.33333"),
        ),
        (
            "urllib",
            "from urllib.parse import urlparse, quote\nreturn [urlparse('http://a/b').path, quote('é')]",
            json!(["/b", "%C3%A9"]),
        ),
        (
            "logging",
            "import logging\nlogging.getLogger('x').setLevel('INFO')\nreturn logging.getLevelName(20)",
            json!("INFO"),
        ),
        (
            "dataclasses",
            "from dataclasses import dataclass, asdict\n@dataclass\nclass A:\n  x: int = 1\nreturn asdict(A(2))",
            json!({"x": 2}),
        ),
        ("csv io", "import csv, io\nreturn list(csv.reader(io.StringIO('a,b')))", json!([["a", "b"]])),
        (
            "email",
            "from email.message import EmailMessage\nm = EmailMessage()\nm['To'] = 'x@y'\nm.set_content('hi')\nreturn m.as_string().startswith('To: x@y')",
            json!(true),
        ),
        ("random", "import random\nreturn 0 <= random.random() < 1", json!(true)),
        ("enum", "from enum import Enum\nclass C(Enum):\n  A = 1\nreturn C.A.value", json!(1)),
        ("typing", "from typing import NamedTuple\nclass P(NamedTuple):\n  x: int\nreturn P(3).x", json!(3)),
        ("uuid", "import uuid\nreturn len(str(uuid.uuid4()))", json!(36)),
        ("statistics fractions", "import statistics\nreturn statistics.mean([1, 2, 3])", json!(2)),
        ("string", "import string\nreturn string.Formatter().format('{0[a]}', {'a': 1})", json!("1")),
        (
            "operator",
            "from operator import itemgetter, attrgetter\nreturn [itemgetter('a')({'a': 1}), attrgetter('real')(3)]",
            json!([1, 3]),
        ),
        ("", "return '{:>4}'.format(1) + f'{2!r}'", json!("   12")),
        (
            "",
            "class A:\n  def f(self): return getattr(self, 'x', 7)\na = A()\nsetattr(a, 'x', 8)\nreturn [a.f(), hasattr(a, 'y'), vars(a)]",
            json!([8, false, {"x": 8}]),
        ),
        ("", "x = {}\nexec('y = 1 + 1', x)\nreturn [x['y'], eval('2 * 3'), eval('a', {'a': 4})]", json!([2, 6, 4])),
        ("", "return eval(compile('1 + 1', 'f', 'eval'))", json!(2)),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn what_would_lead_past_the_policy_is_found_before_the_code_runs() {
    let why = "because it can be used to bypass security restrictions.";
    for (code, expected) in [
        ("return ().__class__", format!("Access to attribute '__class__' is disallowed, {why}")),
        ("return __builtins__", format!("Access to name '__builtins__' is disallowed, {why}")),
        ("return '__subclasses__'", format!("Access to attribute '__subclasses__' is disallowed, {why}")),
        ("return '__glo' + 'bals__'", format!("Access to name '__globals__' is disallowed, {why}")),
        ("return '{0.__class__}'", format!("String pattern accessing '__class__' is disallowed, {why}")),
        ("return '{0[f_globals]:{1.gi_frame}}'", format!("String pattern accessing 'f_globals' is disallowed, {why}")),
        (
            "f = '{}'.format",
            "Extracting 'format' as a bound method is disallowed; call it directly on its receiver instead.".into(),
        ),
        (
            "x = 1\nreturn x._A__b",
            "Access to name-mangled attributes (pattern: _ClassName__attr) is disallowed for security reasons.".into(),
        ),
        ("n = 'os'\nreturn __import__(n)", "Dynamic __import__() calls are not allowed for security reasons.".into()),
        (
            "return __import__('os')",
            "Import of standard library module 'os' is disallowed. Allowed stdlib modules: json".into(),
        ),
        ("def f(__builtins__): pass", format!("Parameter named '__builtins__' is disallowed, {why}")),
        ("def __spec__(): pass", format!("Function named '__spec__' is disallowed, {why}")),
        ("class __loader__: pass", format!("Class named '__loader__' is disallowed, {why}")),
        ("global __builtins__", format!("Global declaration of '__builtins__' is disallowed, {why}")),
        (
            "match 1:\n  case object(__class__=c): pass",
            format!("Match pattern extracting attribute '__class__' is disallowed, {why}"),
        ),
        ("match 1:\n  case int(x): pass", "Positional match patterns are disallowed for security reasons.".into()),
        ("try: pass\nexcept Exception as __name__: pass", format!("Access to name '__name__' is disallowed, {why}")),
        ("import json as __builtins__", format!("Access to name '__builtins__' is disallowed, {why}")),
        ("from json import __dict__", format!("Access to attribute '__dict__' is disallowed, {why}")),
        ("async def f(): pass\nreturn f().cr_frame", format!("Access to attribute 'cr_frame' is disallowed, {why}")),
    ] {
        let error = refused(allow("json"), code).await;
        let found = violations(&error);
        assert!(found.iter().any(|line| line.split_once(": ").unwrap().1 == expected), "{code}: {found:?}");
    }
}

/// Ways to a module that is not allowed, or to a function that shows the way: each must end in an error, and none may
/// return anything.
#[tokio::test]
async fn no_way_round_the_policy_is_found() {
    let getattr = "dunder = lambda n: '__' + n + '_' + '_'\n";
    for (stdlib, code) in [
        ("", "i = __import__\nreturn str(i('os'))"),
        ("", "return (lambda: __import__)()('os').name"),
        ("", "exec('import os')\nreturn 1"),
        ("", "return eval('__import__(\"os\")').name"),
        ("", "return eval(compile('__imp' 'ort__(\"o\" + \"s\")', 'f', 'eval')).name"),
        ("", "x = {}\nexec('def f():\\n  import os\\n  return os', x)\nreturn x['f']().name"),
        ("", "c = [eval][0]\nreturn c('().__class__').mro()"),
        ("", "import ast\nreturn 1"),
        ("json", "import json\nreturn json.codecs.sys.modules['os'].name"),
        ("json", "import json.decoder\nreturn json.decoder.re.enum.sys.modules['os'].name"),
        ("json", "import json\nfrom json import codecs\nreturn codecs.open"),
        ("json", "import json\nreturn getattr(json.loads, dunder('globals'))['codecs']"),
        ("json", "import json\nreturn getattr(getattr(json, 'loads'), ''.join(['__glo', 'bals__']))"),
        ("json", "import json\nreturn vars(json)[dunder('builtins')]"),
        ("", "return vars(type(lambda: 0))[dunder('globals')].__get__(print)"),
        ("", "return vars(type)[dunder('subclasses')](object)"),
        ("", "return getattr(object, dunder('subclasses'))()"),
        ("", "f = getattr\nreturn f(f, dunder('call') ) and f(f, dunder('self'))"),
        ("", "return hasattr((), dunder('class'))"),
        ("", "b = globals()[dunder('builtins')]\nreturn b[dunder('import')]('os').name"),
        ("", "b = globals()[dunder('builtins')]\nb[dunder('import')] = None\nb.clear()\nimport os\nreturn os.name"),
        ("sys", "import sys\nreturn sys.modules['os'].name"),
        ("sys", "import sys\nreturn sys._getframe().f_back"),
        ("sys", "import sys\nsys.modules['os'] = sys\nimport os\nreturn os"),
        ("sys", "import sys\nreturn [m for m in sys.meta_path]"),
        ("builtins", "import builtins\nbuiltins.__import__ = None\nimport os\nreturn os.name"),
        ("builtins", "import builtins\nreturn vars(builtins)[dunder('import')]('os').name"),
        ("importlib", "import importlib\nreturn importlib.import_module('os').name"),
        ("importlib", "import importlib\nreturn importlib.__import__('os').name"),
        ("importlib", "import importlib\nreturn getattr(importlib, dunder('import'))('os').name"),
        ("importlib", "import importlib.util\nreturn 1"),
        ("importlib", "from importlib import machinery\nreturn 1"),
        ("importlib", "import importlib\nreturn importlib.import_module('.path', 'os').sep"),
        ("importlib", "import importlib\nreturn importlib.import_module('importlib.util').find_spec"),
        ("importlib", "import importlib\nreturn importlib.import_module('importlib').sys"),
        (
            "importlib",
            "import importlib\nclass N(str):\n  def split(self, *a): return ['json']\n  def partition(self, *a): return ('importlib', '', '')\n  def startswith(self, *a): return False\n  def __eq__(self, o): return True\n  def __hash__(self): return hash('importlib')\nreturn importlib.import_module(N('os')).name",
        ),
        ("operator json", "import operator, json\nreturn operator.attrgetter(dunder('globals'))(json.loads)"),
        ("operator json", "import operator, json\nreturn operator.attrgetter('dumps.' + dunder('globals'))(json)"),
        ("operator", "import operator\nreturn operator.methodcaller(dunder('subclasses'))(object)"),
        (
            "string json",
            "import string, json\nf = string.Formatter()\nreturn f.get_field('0.' + dunder('globals'), (json.loads,), {})[0]['codecs'].open",
        ),
        (
            "typing",
            "import typing\ndef f(x: \"__import__('os')\"): pass\nreturn typing.get_type_hints(f, {})['x'].name",
        ),
        ("pickle", "import pickle\nreturn str(pickle.loads(b'cos\\ngetpid\\n.'))"),
        ("*", "import _serpentarium\nreturn 1"),
        ("*", "import _host\nreturn 1"),
        ("*", "import sys\nreturn str(sys.modules['_serpentarium'])"),
        ("", "try:\n  1 / 0\nexcept ZeroDivisionError as e:\n  return getattr(e, dunder('traceback'))"),
        ("", "g = (i for i in ())\nreturn getattr(g, 'gi_' + 'frame')"),
        ("", "try:\n  import os\nexcept BaseException:\n  pass\nreturn os.name"),
        ("collections", "import collections\nreturn collections._sys.modules"),
        ("functools", "import functools\nreturn functools.reduce(getattr, ['x', dunder('class')])"),
        ("", "import os.path"),
        // Code and trees that are not what they were looked at as.
        (
            "",
            "c = compile('x.y', 'f', 'eval').replace(co_names=('x', dunder('globals')))\nreturn str(eval(c, {'x': print}))",
        ),
        (
            "",
            "c = compile('x.y', 'f', 'eval')\nF = type(lambda: 0)\nreturn str(F(c.replace(co_names=('x', dunder('globals'))), {'x': print})())",
        ),
        (
            "",
            "s = b'().__cl' + b'ass__'\nclass B:\n  def __buffer__(self, f): return memoryview(s)\nreturn str(eval(B()))",
        ),
        ("array", "import array\nreturn str(eval(array.array('B', b'().__cl' + b'ass__')))"),
        (
            "",
            "t = compile('x.y', 'f', 'eval', 0x400)\nt.body.attr = dunder('globals')\nt._fields = ()\nreturn str(eval(t, {'x': print}))",
        ),
        ("", "class I(int):\n  def __and__(self, other): return 0\nreturn str(compile('x', 'f', 'eval', I(0x400)))"),
        (
            "ast",
            "import ast\nt = ast.parse('x.y', mode='eval')\nt.body.attr = dunder('class')\nt._fields = ()\nreturn str(eval(compile(t, 'f', 'eval'), {'x': 1}))",
        ),
        (
            "ast",
            "import ast\nclass A(ast.Attribute): pass\nt = ast.parse('x.y', mode='eval')\nt.body = ast.copy_location(A(t.body.value, dunder('class'), ast.Load()), t.body)\nreturn str(eval(compile(t, 'f', 'eval'), {'x': 1}))",
        ),
        (
            "ast",
            "import ast\nclass I(ast.Import): pass\nn = {}\nexec(compile(ast.Module([I([ast.alias('os', lineno=1, col_offset=0)], lineno=1, col_offset=0)], []), 'f', 'exec'), n)\nreturn n['os'].name",
        ),
        ("", "class D(dict): pass\nreturn str(eval('getattr', D())((), dunder('class')))"),
        ("", "return str([c for c in [print, help] if dunder('globals') in dir(c)][0])"),
        ("", "return ('{0.' + dunder('globals') + '}').format(print)"),
        // Attributes by name, in other hands.
        (
            "functools",
            "import functools\nclass W: pass\nw = W()\nfunctools.update_wrapper(w, functools.reduce, assigned=(dunder('self'),), updated=())\nreturn str(vars(w))",
        ),
        (
            "functools",
            "import functools\nw = lambda: 0\nfunctools.update_wrapper(w, functools.cmp_to_key, assigned=(), updated=(dunder('globals'),))\nreturn 1",
        ),
        (
            "functools",
            "import functools\nw = functools.wraps(functools.total_ordering, (dunder('globals'),), ())\nreturn str(w(lambda: 0))",
        ),
        ("functools", "import functools\nreturn str(functools.wraps(len).func)"),
        (
            "contextlib",
            "import contextlib\nw = lambda: 0\ncontextlib.wraps(contextlib.contextmanager, assigned=(), updated=(dunder('globals'),))(w)\nreturn 1",
        ),
        ("operator", "import operator\nreturn str(type(operator.attrgetter('a'))(dunder('class'))(1))"),
        ("operator", "import operator\nreturn str(type(operator.methodcaller('a'))(dunder('subclasses'))(object))"),
        (
            "string",
            "import string\nreturn str(string.Formatter.mro()[1]().get_field('0.' + dunder('globals'), (string.capwords,), {}))",
        ),
        // Texts and names that the library reads for others.
        (
            "typing",
            "import typing\nA = type('A', (), {dunder('module'): 'typing', dunder('annotations'): {'x': 'sys.modules.get'}})\nreturn str(typing.get_type_hints(A))",
        ),
        ("typing", "import typing\nclass A:\n  __module__ = 'typing'"),
        (
            "typing",
            "import typing\nr = typing.ForwardRef('sys.modules.get', module='typing')\nreturn str(r._evaluate({}, {}, recursive_guard=frozenset()))",
        ),
        (
            "typing",
            "import typing\ndef f(x: '().__cl' + 'ass__' + ''.join([])): pass\nreturn str(typing.get_type_hints(f))",
        ),
        (
            "typing",
            "import typing\nA = type('A', (), {dunder('annotations'): {'x': 'getattr'}})\nreturn str(typing.get_type_hints(A)['x']((), dunder('class')))",
        ),
        (
            "functools",
            "import functools\n@functools.singledispatch\ndef f(x): pass\ng = lambda x: 0\ndef h(x: '().__cl' + 'ass__' + ''.join([])): pass\nreturn str(f.register(h))",
        ),
        (
            "inspect",
            "import inspect\nA = type('A', (), {dunder('module'): 'inspect', dunder('annotations'): {'x': 'os'}})\nreturn str(inspect.get_annotations(A, eval_str=True))",
        ),
        (
            "enum",
            "import enum\nclass C(enum.Enum):\n  _covers = enum.member(1)\nC = enum.Enum('C', {'_covers': 1}, module='_serpentarium.policy')\nenum.global_enum(C)\nreturn 1",
        ),
        (
            "calendar",
            "import calendar\nC = calendar.IntEnum('C', {'_covers': 1}, module='_serpentarium.policy')\ncalendar.global_enum(C)\nreturn 1",
        ),
        ("enum", "import enum\nreturn str(list(enum.IntEnum._convert_('C', '_serpentarium.wire', lambda n: False)))"),
        (
            "timeit",
            "import timeit\nr = []\ntimeit.timeit('r.append(print.__glo' + 'bals__)', number=1, globals={'r': r})\nreturn str(r)",
        ),
        ("timeit", "import timeit\ntimeit.timeit('sys.modules', number=1)\nreturn 1"),
        (
            "pickle",
            "import pickle\nreturn str(pickle.loads(b'\\x80\\x04\\x8c\\x06codecs\\x8c\\x0fsys.modules.get\\x93.')('os'))",
        ),
        ("pickle", "import pickle\nreturn str(pickle.loads(b'cio\\nopen\\n.'))"),
        ("pickle io", "import pickle, io\nreturn str(pickle.load(io.BytesIO(b'cos\\ngetpid\\n.')))"),
        ("pickle io", "import pickle, io\nreturn str(pickle.Unpickler(io.BytesIO(b'cos\\ngetpid\\n.')).load())"),
        (
            "pickle io",
            "import pickle, io\nreturn str(pickle.Unpickler.mro()[1](io.BytesIO(b'cos\\ngetpid\\n.')).load())",
        ),
        ("pickle", "import pickle\nreturn str(pickle._loads(b'cos\\ngetpid\\n.'))"),
        ("pickle", "import pickle\nreturn str(pickle.loads(b'cbuiltins\\ngetattr\\n.')((), dunder('class')))"),
        ("pickle", "import pickle\nreturn str(pickle.loads(b'cbuiltins\\neval\\n.')('().__cl' + 'ass__'))"),
        ("importlib", "import importlib.metadata\nreturn 1"),
        ("importlib", "import importlib.abc\nreturn 1"),
        ("importlib", "import importlib.resources\nreturn 1"),
        ("importlib", "from importlib.resources import _common\nreturn 1"),
        ("pkgutil", "import pkgutil\nreturn str(pkgutil.resolve_name('os'))"),
        ("sys", "import sys\nreturn str(sys.addaudithook)"),
        ("sys", "import sys\nreturn str([sys._settraceallthreads, sys._setprofileallthreads])"),
        ("sys", "import sys\nreturn str(sys._setprofileallthreads)"),
        ("threading", "import threading\nreturn str(threading.settrace_all_threads)"),
    ] {
        let code = format!("{getattr}{code}");
        let policy = Policy {
            external_allow: if stdlib == "*" { list("*") } else { None },
            builtins_deny: list("breakpoint"),
            ..allow(stdlib)
        };
        let policy = if stdlib == "*" { Policy { external_allow: None, ..policy } } else { policy };
        let outcome = run_under(policy, &code).await;
        assert!(matches!(outcome.end, End::Raised(_)), "{stdlib}: {code}: {:?}", outcome.end);
    }
}

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
        ("urllib", "import urllib.parse as p\nreturn p.parse_qs('a=%E9', encoding='cp1252')", json!({ "a": ["é"] })),
        ("io", "import io\nreturn io.TextIOWrapper(io.BytesIO(b'\\xe9'), 'cp1252').read()", json!("é")),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn what_is_guarded_works_as_ever() {
    for (stdlib, code, expected) in [
        (
            "",
            "return [eval('1 + a', {'a': 2}), eval(compile('3', 'f', 'eval')), eval(b'4'), eval(memoryview(b'5'))]",
            json!([3, 3, 4, 5]),
        ),
        ("", "x = {}\nexec(compile('def f(): return 6', 'f', 'exec'), x)\nreturn x['f']()", json!(6)),
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
        ("typing", "import typing\nreturn [hasattr(typing, 'nope'), hasattr(typing, 'sys')]", json!([false, false])),
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
            json!([2, "doc", "<module>.<locals>.two"]),
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
async fn an_import_at_run_time_is_refused_with_the_line_of_the_code() {
    let error = refused(allow("importlib"), "import importlib\nx = 1\nimportlib.import_module('os')").await;
    assert_eq!((error.message.as_str(), error.line_number), ("Security violation detected", Some(3)));
    let text = "Import of standard library module 'os' is disallowed. Allowed stdlib modules: importlib";
    assert_eq!(error.description.as_deref(), Some(text));
}

#[tokio::test]
async fn builtins_that_are_denied_are_not_there() {
    let deny = |names| Policy { builtins_deny: list(names), ..Policy::default() };
    let error = refused(deny("eval open"), "x = 1\nreturn eval('1')").await;
    assert_eq!((error.message.as_str(), error.line_number), ("name 'eval' is not defined", Some(2)));
    assert_eq!(refused(deny("eval"), "import builtins\nreturn builtins.eval").await.line_number, Some(2));
    assert_eq!(refused(deny("eval"), "import codecs\nreturn codecs.builtins.eval").await.line_number, Some(2));
    let error = refused(deny("__build_class__"), "class A: pass").await;
    assert_eq!(error.message, "__build_class__ not found");
    let everything_else = "import dataclasses, json, collections\nP = collections.namedtuple('P', 'x')\nreturn [P(1).x, len('ab'), json.dumps(1)]";
    assert_eq!(result_under(deny("eval exec compile getattr open"), everything_else).await, json!([1, 2, "1"]));
}

#[tokio::test]
async fn n8ns_own_defaults_leave_plain_python() {
    let code = "total = 0\nfor n in range(5):\n  total += n\nreturn {'sum': sum([1, 2]), 'total': total, 'up': 'a'.upper(), 'e': [*enumerate('a')]}";
    let expected = json!({ "sum": 3, "total": 10, "up": "A", "e": [[0, "a"]] });
    assert_eq!(result_under(Policy::n8n(), code).await, expected);
    for name in
        ["eval", "exec", "compile", "open", "input", "getattr", "object", "type", "vars", "dir", "globals", "locals"]
    {
        let error = refused(Policy::n8n(), &format!("return {name}")).await;
        assert_eq!(error.message, format!("name '{name}' is not defined"));
    }
}

#[tokio::test]
async fn both_lists_open_expressly_leave_code_unread_as_in_n8n() {
    let policy = Policy {
        stdlib_allow: list("*"),
        external_allow: list("*"),
        builtins_deny: list("eval"),
        allow_transitive_imports: true,
    };
    assert_eq!(
        result_under(policy.clone(), "import os\nreturn [().__class__.__name__, os.name]").await,
        json!(["tuple", "posix"])
    );
    assert_eq!(refused(policy, "return eval").await.message, "name 'eval' is not defined");
}

#[tokio::test]
async fn the_policy_holds_for_each_item_and_for_code_that_is_indented() {
    let items = RawValue::from_string(r#"[{"json":{}},{"json":{}}]"#.into()).unwrap();
    let mut settings = TaskSettings::new("  import json\n  return json.loads('{\"a\": 1}')", NodeMode::EachItem, items);
    settings.serpentarium = Some(HostSettings { policy: Some(allow("json")), ..HostSettings::default() });
    let job = |settings: &TaskSettings| Job {
        input: settings.to_input().unwrap(),
        limits: Limits::default(),
        deterministic: None,
    };
    assert_eq!(returned(&run(job(&settings)).await)[1]["json"], json!({ "a": 1 }));
    settings.code = "\u{feff}  import json\n  import os".into();
    settings.serpentarium = Some(HostSettings { policy: Some(allow("json")), ..HostSettings::default() });
    assert_eq!(raised(&run(job(&settings)).await).line_number, Some(2));
}

#[tokio::test]
async fn the_environment_holds_what_the_host_gives_and_nothing_else() {
    let code = "import os\nreturn [dict(os.environ), os.getenv('A'), os.environ.get('B', 'none')]";
    let mut settings = TaskSettings::new(code, NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    let env = [("A".to_owned(), "é".to_owned())].into();
    settings.serpentarium = Some(HostSettings { env: Some(env), ..HostSettings::default() });
    let job = Job { input: settings.to_input().unwrap(), limits: Limits::default(), deterministic: None };
    assert_eq!(returned(&run(job).await), json!([{ "A": "é" }, "é", "none"]));
    assert_eq!(returned(&run(common::job("import os\nreturn dict(os.environ)")).await), json!({}));
}

#[tokio::test]
async fn what_n8n_offers_by_name_is_there_under_every_policy() {
    let closed = Policy { external_allow: list(""), ..allow("") };
    for policy in [closed, Policy::n8n()] {
        for (code, expected) in [
            ("return [_input.all(), _json, _item_index]", json!([[], null, 0])),
            (
                "return [repr(_helpers), str(_node['a'])]",
                json!(["<_helpers: HTTP requests and binary data>", "<node 'a'>"]),
            ),
            ("return _jmespath({'a': [1, 2]}, 'a[1]')", json!(2)),
            ("return await _helpers.http_request_async('x') if False else 1", json!(1)),
            (
                "try: _helpers.http_request('x')\nexcept _helpers.CallError as error: return str(error)",
                json!("Method not allowed"),
            ),
        ] {
            assert_eq!(result_under(policy.clone(), code).await, expected, "{code}");
        }
        let error = refused(policy, "import jmespath").await;
        let expected = "Line 1: Import of external package 'jmespath' is disallowed. Allowed external packages: none";
        assert_eq!(violations(&error), [expected]);
    }
    let policy = Policy { external_allow: list("jmespath"), ..allow("") };
    let code = "import jmespath\nfrom jmespath.exceptions import ParseError\nreturn [jmespath.search('a', {'a': 1}), hasattr(jmespath.parser, 'random')]";
    assert_eq!(result_under(policy, code).await, json!([1, false]));
}

#[tokio::test]
async fn what_n8n_offers_by_name_leads_to_nothing_else() {
    for code in [
        "return _helpers.http_request.__globals__",
        "return _helpers.http_request.__func__",
        "return _input.__class__",
        "return _helpers.HttpError.__init__.__globals__",
        "c = _helpers.http_request_async('x')\nreturn c.cr_frame",
        "try: _helpers.http_request('x')\nexcept _helpers.CallError as e: return e.__traceback__",
    ] {
        let error = refused(allow(""), code).await;
        assert_eq!(error.message, "Security violations detected", "{code}");
    }
    for code in [
        "return getattr(_helpers.http_request, '__glob' + 'als__')",
        "return getattr(_node, '__cla' + 'ss__')",
        "return '{0.__class__}'.replace('class', 'module').format(_helpers)",
    ] {
        let error = refused(allow(""), code).await;
        assert!(error.message.starts_with("Security violation"), "{code}: {error:?}");
    }
    let code = "
found = []
for thing in (_helpers, _input, _node, _node['a'], _jmespath, _get_workflow_static_data, _vars, _execution.custom_data):
    for name in dir(thing):
        if 'module' in repr(type(getattr(type(thing), name))): found.append(name)
return found";
    assert_eq!(result_under(allow(""), code).await, json!([]));
}

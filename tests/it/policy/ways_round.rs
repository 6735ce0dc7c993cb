//! Attempts to bypass the policy.

use super::*;

#[tokio::test]
async fn a_forbidden_name_is_found_before_the_code_runs() {
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

/// Attempts to reach a forbidden module, or a function that leads to one. Each must end in an
/// error.
#[tokio::test]
async fn no_way_round_the_policy_is_found() {
    let getattr = "dunder = lambda n: '__' + n + '_' + '_'\n";
    for (stdlib, code) in [
        ("", "i = __import__\nreturn str(i('os'))"),
        ("", "i = __import__\nreturn i('os\\0').name"),
        ("json", "i = __import__\nreturn i('json\\0').decoder.re.enum.sys.path"),
        ("", "return (lambda: __import__)()('os').name"),
        ("", "exec('import os')\nreturn 1"),
        ("", "return eval('__import__(\"os\")').name"),
        ("", "return eval(compile('__imp' 'ort__(\"o\" + \"s\")', 'f', 'eval')).name"),
        ("", "x = {}\nexec('def f():\\n  import os\\n  return os', x)\nreturn x['f']().name"),
        ("", "c = [eval][0]\nreturn c('().__class__').mro()"),
        ("", "import ast\nreturn 1"),
        // A file of the task is not code of the library.
        (
            "logging",
            "import logging\nh = logging.FileHandler('/tmp/evil.py')\nh.emit(logging.LogRecord('a', 1, 'p', 1, 'import os\\nX = os.name', (), None))\nh.close()\nlogging.__path__.append('/tmp')\nimport logging.evil\nreturn logging.evil.X",
        ),
        (
            "json pathlib",
            "import json, pathlib\npathlib.Path('/tmp/evil.py').write_text('import os\\nX = os.name')\njson.__path__.append('/tmp')\nimport json.evil\nreturn json.evil.X",
        ),
        (
            "runpy pathlib",
            "import pathlib, runpy\npathlib.Path('e.py').write_text('import os\\nX = os.name')\nreturn runpy.run_path('e.py')['X']",
        ),
        ("zipimport", "import zipimport\nreturn zipimport.zipimporter"),
        ("json", "import json\nreturn json.codecs.sys.modules['os'].name"),
        ("json", "import json.decoder\nreturn json.decoder.re.enum.sys.modules['os'].name"),
        ("json", "import json\nfrom json import codecs\nreturn codecs.open"),
        ("json", "import json\nreturn getattr(json.loads, dunder('globals'))['codecs']"),
        (
            "json",
            "import json\nreturn getattr(getattr(json, 'loads'), ''.join(['__glo', 'bals__']))",
        ),
        ("json", "import json\nreturn vars(json)[dunder('builtins')]"),
        ("", "return vars(type(lambda: 0))[dunder('globals')].__get__(print)"),
        ("", "return vars(type)[dunder('subclasses')](object)"),
        ("", "return getattr(object, dunder('subclasses'))()"),
        ("", "f = getattr\nreturn f(f, dunder('call') ) and f(f, dunder('self'))"),
        ("", "return hasattr((), dunder('class'))"),
        ("", "b = globals()[dunder('builtins')]\nreturn b[dunder('import')]('os').name"),
        (
            "",
            "b = globals()[dunder('builtins')]\nb[dunder('import')] = None\nb.clear()\nimport os\nreturn os.name",
        ),
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
        (
            "importlib",
            "import importlib\nreturn importlib.import_module('importlib.util').find_spec",
        ),
        ("importlib", "import importlib\nreturn importlib.import_module('importlib').sys"),
        (
            "importlib",
            "import importlib\nclass N(str):\n  def split(self, *a): return ['json']\n  def partition(self, *a): return ('importlib', '', '')\n  def startswith(self, *a): return False\n  def __eq__(self, o): return True\n  def __hash__(self): return hash('importlib')\nreturn importlib.import_module(N('os')).name",
        ),
        (
            "operator json",
            "import operator, json\nreturn operator.attrgetter(dunder('globals'))(json.loads)",
        ),
        (
            "operator json",
            "import operator, json\nreturn operator.attrgetter('dumps.' + dunder('globals'))(json)",
        ),
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
        (
            "",
            "try:\n  1 / 0\nexcept ZeroDivisionError as e:\n  return getattr(e, dunder('traceback'))",
        ),
        ("", "g = (i for i in ())\nreturn getattr(g, 'gi_' + 'frame')"),
        ("", "try:\n  import os\nexcept BaseException:\n  pass\nreturn os.name"),
        ("collections", "import collections\nreturn collections._sys.modules"),
        ("functools", "import functools\nreturn functools.reduce(getattr, ['x', dunder('class')])"),
        ("", "import os.path"),
        // Code objects and syntax trees that change after their check.
        (
            "",
            "c = compile('x.y', 'f', 'eval').replace(co_names=('x', dunder('globals')))\nreturn str(eval(c, {'x': print}))",
        ),
        (
            "",
            "c = compile('x.y', 'f', 'eval')\nF = type(lambda: 0)\nreturn str(F(c.replace(co_names=('x', dunder('globals'))), {'x': print})())",
        ),
        // Functions made of code, with the built-ins of the library that calls them back.
        (
            "json functools",
            "import json\nfrom functools import partial\nF = type(lambda: 0)\ncode = compile('getattr', 'x', 'eval')\nreturn str(json.loads('{}', object_hook=partial(F, code))())",
        ),
        (
            "json",
            "import json\nF = type(lambda: 0)\nclass A:\n  def m(self): pass\nM = type(A().m)\nreturn str(json.loads('{}', object_hook=M(F, compile('getattr', 'x', 'eval')))())",
        ),
        (
            "concurrent.futures",
            "from concurrent.futures import ThreadPoolExecutor\ncode = compile('getattr', 'x', 'eval')\nreturn str(ThreadPoolExecutor().submit(type(lambda: 0), code, {}).result()())",
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
        (
            "",
            "class I(int):\n  def __and__(self, other): return 0\nreturn str(compile('x', 'f', 'eval', I(0x400)))",
        ),
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
        // Library functions that read attributes by name.
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
        (
            "operator",
            "import operator\nreturn str(type(operator.attrgetter('a'))(dunder('class'))(1))",
        ),
        (
            "operator",
            "import operator\nreturn str(type(operator.methodcaller('a'))(dunder('subclasses'))(object))",
        ),
        (
            "string",
            "import string\nreturn str(string.Formatter.mro()[1]().get_field('0.' + dunder('globals'), (string.capwords,), {}))",
        ),
        // Library functions that evaluate texts or resolve names.
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
            "import enum\nclass C(enum.Enum):\n  _covers = enum.member(1)\nC = enum.Enum('C', {'_covers': 1}, module='_serpentarium.policy.policy')\nenum.global_enum(C)\nreturn 1",
        ),
        (
            "calendar",
            "import calendar\nC = calendar.IntEnum('C', {'_covers': 1}, module='_serpentarium.policy.policy')\ncalendar.global_enum(C)\nreturn 1",
        ),
        (
            "enum",
            "import enum\nreturn str(list(enum.IntEnum._convert_('C', '_serpentarium.core.wire', lambda n: False)))",
        ),
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
        (
            "pickle io",
            "import pickle, io\nreturn str(pickle.load(io.BytesIO(b'cos\\ngetpid\\n.')))",
        ),
        (
            "pickle io",
            "import pickle, io\nreturn str(pickle.Unpickler(io.BytesIO(b'cos\\ngetpid\\n.')).load())",
        ),
        (
            "pickle io",
            "import pickle, io\nreturn str(pickle.Unpickler.mro()[1](io.BytesIO(b'cos\\ngetpid\\n.')).load())",
        ),
        ("pickle", "import pickle\nreturn str(pickle._loads(b'cos\\ngetpid\\n.'))"),
        (
            "pickle",
            "import pickle\nreturn str(pickle.loads(b'cbuiltins\\ngetattr\\n.')((), dunder('class')))",
        ),
        (
            "pickle",
            "import pickle\nreturn str(pickle.loads(b'cbuiltins\\neval\\n.')('().__cl' + 'ass__'))",
        ),
        ("importlib", "import importlib.metadata\nreturn 1"),
        ("importlib", "import importlib.abc\nreturn 1"),
        ("importlib", "import importlib.resources\nreturn 1"),
        ("importlib", "from importlib.resources import _common\nreturn 1"),
        ("pkgutil", "import pkgutil\nreturn str(pkgutil.resolve_name('os'))"),
        ("sys", "import sys\nreturn str(sys.addaudithook)"),
        ("sys", "import sys\nreturn str([sys._settraceallthreads, sys._setprofileallthreads])"),
        ("sys", "import sys\nreturn str(sys._setprofileallthreads)"),
        ("threading", "import threading\nreturn str(threading.settrace_all_threads)"),
        (
            "concurrent",
            "from concurrent.futures import ThreadPoolExecutor\nreturn str(ThreadPoolExecutor().submit(globals).result()['os'])",
        ),
        (
            "concurrent",
            "from concurrent.futures import ThreadPoolExecutor\nreturn str(ThreadPoolExecutor().submit(eval, 'os').result())",
        ),
        (
            "threading",
            "import threading\nr = []\nt = threading.Thread(target=exec, args=('r.append(_os.name)',))\nt.start()\nt.join()\nreturn r[0]",
        ),
        (
            "threading functools",
            "import threading, functools\nr = []\nthreading.Barrier(1, functools.partial(exec, 'import os\\nr.append(os.name)')).wait()\nreturn r[0]",
        ),
        ("asyncio", "import asyncio\nreturn str((await asyncio.to_thread(globals))['wire'])"),
        ("multiprocessing", "import multiprocessing\nreturn str(multiprocessing.threading)"),
    ] {
        let code = format!("{getattr}{code}");
        let policy = Policy {
            external_allow: if stdlib == "*" { list("*") } else { None },
            builtins_deny: list("breakpoint"),
            ..allow(stdlib)
        };
        let policy = if stdlib == "*" { Policy { external_allow: None, ..policy } } else { policy };
        let outcome = run_under(policy, &code).await;
        assert!(
            matches!(outcome.result, Err(Failure::Raised(_))),
            "{stdlib}: {code}: {:?}",
            outcome.result
        );
    }
}

#[tokio::test]
async fn n8ns_names_are_no_way_round_the_policy() {
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

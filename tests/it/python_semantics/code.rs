//! Compilation of the user's text: positions, statements at the top level, syntax errors.

use serde_json::json;

use super::{all_fail, all_return, own_text, run, run_settings};

#[tokio::test]
async fn code_can_return_at_its_top_level() {
    all_return(&[
        ("'only a text'", json!(null)),
        ("x = 1\ndef f():\n    nonlocal x\n    x += 1\nf()\nreturn x", json!(2)),
        ("global q\nq = 3\nreturn globals()['q']", json!(3)),
        (
            "return [__name__, sorted(name for name in globals() if name[:2] != '__')]",
            json!(["__main__", ["_items", "_query"]]),
        ),
        ("class A:\n    x: int = 3\nreturn A.x", json!(3)),
        (
            "import functools\nreturn [y := 3, functools.reduce(lambda a, b: a + b, [1, 2])]",
            json!([3, 3]),
        ),
        ("type X = int\nreturn X.__name__", json!("X")),
        ("exec('z = 1')\nreturn eval('1 + 1')", json!(2)),
    ])
    .await;
}

#[tokio::test]
async fn a_text_that_is_indented_as_a_whole_is_taken_as_such() {
    all_return(&[
        ("\tx = 1\n\treturn x", json!(1)),
        ("  # first\n  if True:\n      return 2", json!(2)),
        ("  x = '''\n  a\nb'''\n  return x", json!("\n  a\nb")),
    ])
    .await;
    all_fail(&[
        ("    x = 1\nreturn x", "unexpected indent (line 1)"),
        ("    x = 1\nelse:\n    return 2", "unexpected indent (line 1)"),
    ])
    .await;
    assert_eq!(run("    x = 1\n    return x / 0").await.exception().line_number, Some(2));
}

#[tokio::test]
async fn text_is_taken_as_it_is() {
    all_return(&[
        ("x = 1\rreturn x", json!(1)),
        ("\u{c}x = 1\n\u{c}return x", json!(1)),
        ("return 'naïve 🐍'", json!("naïve 🐍")),
        ("# -*- coding: latin-1 -*-\nreturn 'ü'", json!("ü")),
    ])
    .await;
    let long = format!("x = '{}'\nreturn len(x)", "a".repeat(3_000_000));
    assert_eq!(run(&long).await.value(), 3_000_000);
}

#[tokio::test]
async fn future_imports_stay_at_the_top() {
    all_return(&[
        (
            "from __future__ import annotations\ndef f(x: nope): pass\nreturn f.__annotations__",
            json!({"x": "nope"}),
        ),
        ("'''text'''\nfrom __future__ import annotations, division\nreturn 1", json!(1)),
        ("from __future__ import annotations", json!(null)),
        ("def f(x: int): pass\nreturn '__future__' in repr(f.__annotations__)", json!(false)),
    ])
    .await;
    all_fail(&[
        (
            "x = 1\nfrom __future__ import annotations",
            "from __future__ imports must occur at the beginning of the file (line 2)",
        ),
        ("from __future__ import nope", "future feature nope is not defined (line 1)"),
    ])
    .await;
}

#[tokio::test]
async fn a_syntax_error_names_its_line() {
    for (code, message, line) in [
        ("x = 1\n\ny = = 2", "invalid syntax (line 3)", 3),
        ("  x = 1\ny = 2", "unexpected indent (line 1)", 1),
        (
            "x = 1\ndef f():\n  from os import *",
            "import * only allowed at module level (line 3)",
            3,
        ),
        ("nonlocal x", "nonlocal declaration not allowed at module level (line 1)", 1),
        ("def f():\n  nonlocal y\n  y = 1", "no binding for nonlocal 'y' found (line 2)", 2),
        ("x = 1\nbreak", "'break' outside loop (line 2)", 2),
        ("x = 1\ndef f(): await x", "'await' outside async function (line 2)", 2),
        ("def f():\n  async with x: pass", "'async with' outside async function (line 2)", 2),
        ("await x\nyield x", "'yield' outside function (line 2)", 2),
        ("await x\nyield x\nreturn 1", "'yield' outside function (line 2)", 2),
        ("y = lambda: (yield)\nz = [\n  (yield 3)]", "'yield' outside function (line 3)", 3),
        ("yield from []", "'yield from' outside function (line 1)", 1),
    ] {
        let ran = run(code).await;
        let exception = ran.exception();
        assert_eq!(
            (own_text(&exception.message), exception.line_number),
            (message, Some(line)),
            "{code}"
        );
        assert!(
            ran.description().contains(&format!("File \"<code>\", line {line}\n")),
            "{code}: {}",
            ran.description()
        );
    }
}

#[tokio::test]
async fn a_lone_surrogate_in_the_code_is_an_error_with_its_line() {
    let ran = run_settings(
        r#"{"code":"x = 1\ny = '\ud800'","nodeMode":"runOnceForAllItems","items":[]}"#,
    )
    .await;
    assert_eq!(ran.exception().message, "source code cannot contain lone surrogates (line 2)");
}

#[tokio::test]
async fn code_that_is_too_deep_ends_in_an_error() {
    for code in [
        "(".repeat(5000),
        format!("return {}1", "-".repeat(50_000)),
        format!("return {}1", "1+".repeat(20_000)),
        format!("x{}", ".a".repeat(20_000)),
        format!("return {}1{}", "[".repeat(190), "]".repeat(190)),
        format!("return {}{}", "f(".repeat(150), ")".repeat(150)),
        (0..90).map(|depth| format!("{}if 1:\n", " ".repeat(depth))).collect::<String>()
            + &" ".repeat(90)
            + "f()",
        (0..120).map(|depth| format!("{}if 1:\n", " ".repeat(depth))).collect::<String>()
            + &" ".repeat(120)
            + "f()",
        format!("if x: pass\n{}", "elif x: pass\n".repeat(6000)),
        format!("return {}0", "lambda: ".repeat(5000)),
        format!("return {}0", "not ".repeat(5000)),
        format!("return f'{}'", "{f'".repeat(100)),
    ] {
        let ran = run(&code).await;
        let head: String = code.chars().take(30).collect();
        match &ran.outcome.result {
            Err(serpentarium::sandbox::Failure::Raised(exception)) => {
                assert!(!exception.message.is_empty(), "{head}")
            }
            Ok(_) => {}
            other => panic!("{head}…: {other:?}"),
        }
    }
}

#[tokio::test]
async fn long_but_ordinary_code_runs() {
    let lines: String = (0..5000).map(|n| format!("x{n} = {n}\n")).collect();
    assert_eq!(run(&format!("{lines}return x4999")).await.value(), 4999);
    let list = format!("return sum([{}])", "1, ".repeat(50_000));
    assert_eq!(run(&list).await.value(), 50_000);
    let chain = format!(
        "x = 99\nif x == -1: pass\n{}return x",
        (0..150).map(|n| format!("elif x == {n}: y = {n}\n")).collect::<String>()
    );
    assert_eq!(run(&chain).await.value(), 99);
    let sum = format!("return {}0", "1 + ".repeat(800));
    assert_eq!(run(&sum).await.value(), 800);
}

#[tokio::test]
async fn the_fast_path_compiles_as_the_slow_one_does() {
    let code = r##"
import _host
from _serpentarium.core.code import REVEALING, compile_program

TEXTS = [
    "return 1", "'docs'\nreturn 2", "x = '''a\n b'''\nreturn x", "def f(a, *, b=1) -> int:\n    return a\nreturn f",
    "global q\nq = 1", "x = 1\ndef f():\n    nonlocal x\n    x = 2\nreturn x", "return [lambda: i for i in range(3)]",
    "class A[T](dict):\n    y: T\nreturn A", "type X = int", "match _item:\n    case {'a': b}:\n        return b",
    "", "# nothing", "await x", "from __future__ import annotations\nreturn 1", "from os import *", "x = 1\nreturn globals()",
    "try:\n    1 / 0\nexcept* ValueError:\n    pass", "with open('x') as f:\n    return f'{f!r:>{3}}'", "return -1 + 2 * 3",
    "return 'naïve 🐍'", "x = 1\r\nreturn x", "import re\n\n\nreturn re", "for i in _items:\n    yield_ = i\nelse:\n    return 1",
]
LONG_WAY = ["return (", "yield 1", "break", "  return 1", "return '\0'", "x: int = 1\nglobal x", "return '\ud800'"]

def same(one, other):
    kinds = type(one), type(other)
    if kinds[0] is not type(same.__code__) or kinds[0] is not kinds[1]:
        return one == other
    names = [n for n in dir(one) if n.startswith("co_") and n not in ("co_consts", "co_code", "co_lines", "co_positions")]
    return (all(getattr(one, n) == getattr(other, n) for n in names if not callable(getattr(one, n)))
            and one.co_code == other.co_code and list(one.co_positions()) == list(other.co_positions())
            and len(one.co_consts) == len(other.co_consts) and all(map(same, one.co_consts, other.co_consts)))

def short(text):
    return _host.program_code(text, "<code>", REVEALING)

differs = [text for text in TEXTS if not same(short(text), compile_program(text, lambda tree: None))]
taken = [text for text in LONG_WAY if short(text)]
return [differs, taken]
"##;
    all_return(&[(code, json!([[], []]))]).await;
}

#[tokio::test]
async fn a_warning_of_the_compiler_is_given_once() {
    for text in [
        "return '\\d'",
        "x = '\\d'\nimport asyncio\nawait asyncio.sleep(0)",
        "x = '\\d'\nyield x",
        "x = '\\d'\nreturn (",
        "from __future__ import annotations\nx = '\\d'",
        "\n  x = '\\d'\n  return x",
        "#c\n  x = '\\d'\n  return x",
    ] {
        let stderr = run(text).await.outcome.stderr;
        assert_eq!(
            stderr.matches("SyntaxWarning: invalid escape sequence").count(),
            1,
            "{text}: {stderr}"
        );
    }
    for text in [
        "x = 1 is 2\nimport asyncio\nawait asyncio.sleep(0)",
        "import asyncio\nawait asyncio.sleep(0)\nx = 1 is 2",
        "from __future__ import annotations\nx = 1 is 2\nimport asyncio\nawait asyncio.sleep(0)",
    ] {
        let stderr = run(text).await.outcome.stderr;
        assert_eq!(
            stderr.matches("SyntaxWarning: \"is\" with 'int' literal").count(),
            1,
            "{text}: {stderr}"
        );
    }
}

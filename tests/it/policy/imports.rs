//! Allowed and forbidden imports.

use super::*;

#[tokio::test]
async fn allowed_imports_obeyed() {
    for (stdlib, code, expected) in [
        ("json", "import json\nreturn json.loads('[1]')", json!([1])),
        ("json", "from json import loads as l\nreturn l('[1]')", json!([1])),
        ("json", "import json.decoder\nreturn json.decoder.JSONDecoder().decode('2')", json!(2)),
        ("os", "import os.path as p\nreturn p.join('a', 'b')", json!("a/b")),
        ("os.path", "import os.path\nreturn os.path.join('a', 'b')", json!("a/b")),
        ("os.path", "import os.path\nreturn hasattr(os, 'getpid')", json!(false)),
        (
            "collections",
            "from collections.abc import Mapping\nreturn isinstance({}, Mapping)",
            json!(true),
        ),
        ("*", "import os, sys, json, importlib\nreturn 1", json!(1)),
        (
            "re math",
            "from math import floor\nimport re\nreturn [floor(2.5), re.sub('a', 'b', 'aa')]",
            json!([2, "bb"]),
        ),
        (
            "xml",
            "import xml.etree.ElementTree as e\nreturn e.fromstring('<a>1</a>').text",
            json!("1"),
        ),
        ("json", "m = __import__('json')\nreturn m.dumps([1])", json!("[1]")),
        (
            "importlib json",
            "import importlib\nreturn importlib.import_module('json').dumps(1)",
            json!("1"),
        ),
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
async fn forbidden_imports_violated_and_all_named_at_once() {
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
async fn no_code_runs_if_any_of_it_is_forbidden() {
    let echo = std::sync::Arc::new(crate::support::Echo::default());
    let mut settings = TaskSettings::new(
        "print('ran')\nimport os",
        NodeMode::AllItems,
        RawValue::from_string("[]".into()).unwrap(),
    );
    settings.serpentarium =
        Some(HostSettings { policy: Some(allow("")), ..HostSettings::default() });
    let job = Job::new(settings.to_input().unwrap(), Limits::default());
    let outcome = crate::support::sandbox().run(job, echo.clone()).await;
    assert_eq!(raised(&outcome).line_number, Some(2));
    assert!(echo.notified.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_standard_library_imports_its_own_parts() {
    for (stdlib, code, expected) in [
        (
            "datetime",
            "import datetime\nreturn datetime.datetime.strptime('2024-05-06', '%Y-%m-%d').day",
            json!(6),
        ),
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
        (
            "csv io",
            "import csv, io\nreturn list(csv.reader(io.StringIO('a,b')))",
            json!([["a", "b"]]),
        ),
        (
            "email",
            "from email.message import EmailMessage\nm = EmailMessage()\nm['To'] = 'x@y'\nm.set_content('hi')\nreturn m.as_string().startswith('To: x@y')",
            json!(true),
        ),
        ("random", "import random\nreturn 0 <= random.random() < 1", json!(true)),
        ("enum", "from enum import Enum\nclass C(Enum):\n  A = 1\nreturn C.A.value", json!(1)),
        (
            "typing",
            "from typing import NamedTuple\nclass P(NamedTuple):\n  x: int\nreturn P(3).x",
            json!(3),
        ),
        ("uuid", "import uuid\nreturn len(str(uuid.uuid4()))", json!(36)),
        ("statistics fractions", "import statistics\nreturn statistics.mean([1, 2, 3])", json!(2)),
        (
            "string",
            "import string\nreturn string.Formatter().format('{0[a]}', {'a': 1})",
            json!("1"),
        ),
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
        (
            "",
            "x = {}\nexec('y = 1 + 1', x)\nreturn [x['y'], eval('2 * 3'), eval('a', {'a': 4})]",
            json!([2, 6, 4]),
        ),
        ("", "return eval(compile('1 + 1', 'f', 'eval'))", json!(2)),
    ] {
        assert_eq!(result_under(allow(stdlib), code).await, expected, "{stdlib}: {code}");
    }
}

#[tokio::test]
async fn an_import_at_run_time_is_refused_with_the_line_of_the_code() {
    let error =
        refused(allow("importlib"), "import importlib\nx = 1\nimportlib.import_module('os')").await;
    assert_eq!(
        (error.message.as_str(), error.line_number),
        ("Security violation detected", Some(3))
    );
    let text =
        "Import of standard library module 'os' is disallowed. Allowed stdlib modules: importlib";
    assert_eq!(error.description.as_deref().map(own_text), Some(text));
}

/// The library imports files without the checks of the policy, so none is code while there are lists.
#[tokio::test]
async fn a_file_of_the_task_is_no_module_under_a_list() {
    let code = "open('helper.py', 'w').write('import os')\nimport helper\nreturn 1";
    let error = refused(Policy { external_allow: list("helper"), ..Policy::default() }, code).await;
    assert!(error.message.starts_with("No module named 'helper'"), "{error:?}");
    let hint = "code in files of the task cannot be imported: put it into this code.";
    assert!(error.description.as_deref().unwrap().ends_with(hint), "{error:?}");
    let all = Policy { external_allow: list("*"), stdlib_allow: list("*"), ..Policy::default() };
    assert_eq!(result_under(all, code).await, json!(1));
    assert_eq!(result_under(Policy::default(), code).await, json!(1));
}

/// The library's own imports, such as those of `iterdump`, are not the code's.
#[tokio::test]
async fn databases_obey_the_list_of_the_standard_library() {
    let code = "import sqlite3\ncon = sqlite3.connect('a.db')\ncon.execute('create table t (n)')\n\
        return len(list(con.iterdump()))";
    assert_eq!(result_under(allow("sqlite3"), code).await, json!(3));
    let error = refused(allow("json"), code).await;
    assert_eq!(
        violations(&error),
        [
            "Line 1: Import of standard library module 'sqlite3' is disallowed. Allowed stdlib modules: json"
        ]
    );
}

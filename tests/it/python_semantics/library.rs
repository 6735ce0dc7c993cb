//! The standard library in the image.

use serde_json::{Value, json};

use super::{all_return, run, value};

#[tokio::test]
async fn common_modules_work() {
    all_return(&[
        ("import re\nreturn re.sub(r'(?P<a>\\w+) (\\w+)', r'\\2 \\g<a>', 'hello world')", json!("world hello")),
        ("import json\nreturn json.loads(json.dumps({'a': [1, None]}))", json!({"a": [1, null]})),
        ("import math\nreturn [math.isqrt(17), math.comb(5, 2), round(math.pi, 1)]", json!([4, 10, 3.1])),
        ("from datetime import datetime, timedelta, timezone\nreturn (datetime(2024, 2, 28, tzinfo=timezone.utc) + timedelta(days=2)).isoformat()", json!("2024-03-01T00:00:00+00:00")),
        ("from datetime import datetime\nreturn datetime.strptime('06.05.2024 07:08', '%d.%m.%Y %H:%M').isoformat()", json!("2024-05-06T07:08:00")),
        ("from datetime import datetime\nfrom zoneinfo import ZoneInfo\nreturn datetime(2024, 7, 1, 12, tzinfo=ZoneInfo('Europe/Berlin')).isoformat()", json!("2024-07-01T12:00:00+02:00")),
        ("from collections import Counter, defaultdict, deque\nreturn Counter('abca').most_common(1)", json!([["a", 2]])),
        ("import hashlib\nreturn hashlib.sha256(b'abc').hexdigest()[:8]", json!("ba7816bf")),
        ("import hashlib\nreturn [hashlib.md5(b'').hexdigest()[:6], hashlib.blake2b(b'').hexdigest()[:6], hashlib.sha3_256(b'').hexdigest()[:6]]", json!(["d41d8c", "786a02", "a7ffc6"])),
        ("import hmac\nreturn hmac.new(b'k', b'm', 'sha256').hexdigest()[:6]", json!("b60090")),
        ("import base64\nreturn base64.b64encode(b'hi').decode()", json!("aGk=")),
        ("import csv, io\nreturn list(csv.DictReader(io.StringIO('a,b\\n1,\"x,y\"\\n')))", json!([{"a": "1", "b": "x,y"}])),
        ("import itertools, functools, operator\nreturn functools.reduce(operator.mul, itertools.accumulate([1, 2, 3]))", json!(18)),
        ("from decimal import Decimal, ROUND_HALF_UP\nreturn str(Decimal('2.675').quantize(Decimal('0.01'), ROUND_HALF_UP))", json!("2.68")),
        ("from fractions import Fraction\nreturn str(Fraction(1, 3) + Fraction(1, 6))", json!("1/2")),
        ("import statistics\nreturn statistics.median([3, 1, 2])", json!(2)),
        ("import uuid\nreturn str(uuid.uuid5(uuid.NAMESPACE_DNS, 'n8n.io'))[14]", json!("5")),
        ("import urllib.parse\nreturn urllib.parse.urlencode({'q': 'a b&c'})", json!("q=a+b%26c")),
        ("import html\nreturn html.unescape(html.escape('<a & b>'))", json!("<a & b>")),
        ("import xml.etree.ElementTree as E\nreturn [n.text for n in E.fromstring('<r><a>1</a><a>2</a></r>')]", json!(["1", "2"])),
        ("import zlib, gzip\nreturn [zlib.decompress(zlib.compress(b'x')).decode(), gzip.decompress(gzip.compress(b'y')).decode()]", json!(["x", "y"])),
        ("import zipfile, io\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w') as z: z.writestr('a.txt', 'hi')\nreturn zipfile.ZipFile(b).namelist()", json!(["a.txt"])),
        ("import struct, array\nreturn [struct.unpack('<I', b'\\x01\\0\\0\\0')[0], array.array('i', [1, 2]).tolist()]", json!([1, [1, 2]])),
        ("import dataclasses\n@dataclasses.dataclass(order=True, slots=True)\nclass P:\n    x: int\n    y: int = 2\nreturn dataclasses.asdict(P(1))", json!({"x": 1, "y": 2})),
        ("from enum import Enum, auto\nclass C(Enum):\n    A = auto()\nreturn C['A'].value", json!(1)),
        ("import typing\nclass T(typing.TypedDict):\n    a: int\nreturn T(a=1)", json!({"a": 1})),
        ("from email.message import EmailMessage\nm = EmailMessage()\nm['Subject'] = 'hi'\nm.set_content('text')\nreturn m['subject']", json!("hi")),
        ("import textwrap, string, difflib, pprint, copy, heapq, bisect\nreturn [textwrap.shorten('hello big world', 9), bisect.bisect([1, 2], 1)]", json!(["[...]", 1])),
        ("import unicodedata\nreturn unicodedata.normalize('NFKD', 'é')[0]", json!("e")),
        ("import inspect, ast, tokenize\nreturn ast.literal_eval('[1]')", json!([1])),
        ("import pickle, copy\nreturn pickle.loads(pickle.dumps({'a': (1,)}))", json!({"a": [1]})),
        ("import calendar, locale\nreturn calendar.monthrange(2024, 2)", json!([3, 29])),
        ("import decimal\nreturn repr(decimal.Context(prec=5, Emin=-9, Emax=10**17, rounding='ROUND_UP', flags=[], traps=[]))",
            json!("Context(prec=5, rounding=ROUND_UP, Emin=-9, Emax=100000000000000000, capitals=1, clamp=0, flags=[], traps=[])")),
        ("import decimal, pickle, copy\nc = decimal.Context(prec=7, Emin=-10**17, Emax=99)\nreturn [str(d) == str(c) and (d.prec, d.Emin, d.Emax) for d in (pickle.loads(pickle.dumps(c)), copy.copy(c), copy.deepcopy(c))]",
            json!([[7, -100_000_000_000_000_000_i64, 99], [7, -100_000_000_000_000_000_i64, 99], [7, -100_000_000_000_000_000_i64, 99]])),
        ("from collections.abc import Set\nreturn [hash(frozenset(v)) == Set._hash(v) for v in (set(), {1, 'a'}, set(range(1000)))]", json!([true, true, true])),
        (
            "import os\nreturn [dict(os.environ), os.getcwd()]",
            json!([{}, "/home/task"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn common_files_have_media_types() {
    all_return(&[
        ("import mimetypes\nreturn {e: mimetypes.guess_type('x.' + e)[0] for e in ['docx', 'xlsx', 'pptx', 'ods', 'ics', 'yaml', 'parquet', '7z', 'm4a', 'ogg', 'csv', 'pdf', 'woff2', 'md']}", json!({
            "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "ods": "application/vnd.oasis.opendocument.spreadsheet",
            "ics": "text/calendar",
            "yaml": "application/yaml",
            "parquet": "application/vnd.apache.parquet",
            "7z": "application/x-7z-compressed",
            "m4a": "audio/mp4",
            "ogg": "audio/ogg",
            "csv": "text/csv",
            "pdf": "application/pdf",
            "woff2": "font/woff2",
            "md": "text/markdown",
        })),
        ("import mimetypes\nmimetypes.init()\nreturn [mimetypes.guess_type('a.xlsx')[0][-5:], mimetypes.MimeTypes().guess_type('a.ics')[0], mimetypes.guess_extension('text/calendar'), mimetypes.guess_extension('text/plain'), mimetypes.guess_extension('image/jpeg')]", json!(["sheet", "text/calendar", ".ics", ".txt", ".jpg"])),
    ])
    .await;
}

#[tokio::test]
async fn locales_that_do_not_exist_are_refused() {
    let names = "import locale\nout = []\nfor name in [None, '', 'C', 'POSIX', 'C.UTF-8', 'de_DE.UTF-8', 'en_US', 'xx']:\n    try:\n        locale.setlocale(locale.LC_ALL, name)\n        out.append('set')\n    except locale.Error as error:\n        out.append(str(error)[:26])\nreturn out";
    let mut expected = vec!["set"; 5];
    expected.extend(["unsupported locale setting"; 3]);
    all_return(&[
        (names, json!(expected)),
        ("import locale\nold = locale.setlocale(locale.LC_ALL)\nreturn locale.setlocale(locale.LC_ALL, old) == old", json!(true)),
        ("import calendar\nreturn calendar.TextCalendar().formatmonthname(2024, 2, 0)", json!("February 2024")),
    ])
    .await;
}

#[tokio::test]
async fn every_task_draws_its_own_random_numbers() {
    for code in [
        "import random\nreturn random.random()",
        "from random import randint\nreturn randint(0, 10 ** 12)",
        "import random\nreturn random.choices(range(1000), k=10)",
        "import uuid\nreturn uuid.uuid4()",
        "import secrets\nreturn secrets.token_hex()",
        "import os\nreturn os.urandom(8).hex()",
        "import sys\nreturn sys.modules['random'].random()",
        "import tempfile\nreturn next(tempfile._get_candidate_names())",
        "import statistics\nreturn statistics.NormalDist().samples(1)",
    ] {
        assert_ne!(value(code).await, value(code).await, "{code}");
    }
    let seeded = "import random\nrandom.seed(42)\nreturn random.random()";
    assert_eq!(value(seeded).await, json!(0.639_426_798_457_883_7));
}

#[tokio::test]
async fn the_clock_is_the_worlds() {
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs_f64();
    let time = value("import time\nreturn time.time()").await.as_f64().expect("a number");
    assert!((time - before).abs() < 30.0, "{time} {before}");
    let year = value("import datetime\nreturn datetime.datetime.now().year").await;
    assert!(year.as_u64().expect("a number") >= 2024);
}

#[tokio::test]
async fn files_processes_and_sockets_are_clear_errors() {
    for code in [
        "open('/etc/passwd')",
        "import subprocess\nsubprocess.run(['ls'])",
        "import os\nos.system('ls')",
        "import socket\nsocket.create_connection(('example.com', 80))",
        "import urllib.request\nurllib.request.urlopen('http://example.com')",
    ] {
        let ran = run(code).await;
        assert!(!ran.exception().message.is_empty(), "{code}");
        assert!(ran.exception().line_number.is_some(), "{code}");
    }
}

#[tokio::test]
async fn tasks_share_nothing() {
    let code = "import json, builtins, sys\nbefore = [hasattr(json, 'mark'), hasattr(builtins, 'mark'), 'mark' in sys.modules]\njson.mark = builtins.mark = sys.modules['mark'] = json\nreturn before";
    for _ in 0..3 {
        assert_eq!(value(code).await, json!([false, false, false]));
    }
    assert_ne!(Value::Null, value("import sys\nreturn sys.version").await);
}

#[tokio::test]
async fn dates_are_written_with_any_format() {
    all_return(&[
        (
            "import datetime, time\nd = datetime.datetime(2024, 2, 9, 15, 4, 5)\n\
             return [d.strftime('Report of %Y-%m-%d, %l:%M %P'), d.strftime('%d.%m.%Y: 50%'), time.strftime('%Y (100 %)', d.timetuple()), f'{d:%Y %k}']",
            json!(["Report of 2024-02-09,  3:04 pm", "09.02.2024: 50%", "2024 (100 %)", "2024 15"]),
        ),
        (
            "import datetime\nd = datetime.datetime(2024, 2, 9, 5, 4, 5)\n\
             return [d.strftime(f) for f in ('%-d.%-m.', '%_H', '%-k|%k|%-l', '%%', '%Q é %d %', '%N%E%O%i%+', '%', '%P%p', '%a %j %U %y')]",
            json!(["9.2.", " 5", "5| 5|5", "%", "%Q é 09 %", "%N%E%O%i%+", "%", "amAM", "Fri 040 05 24"]),
        ),
        (
            "import datetime, time\nreturn [str(datetime.datetime.strptime('12 Mar', '%d %b')), time.strptime('12 Mar', '%d %b')[:3]]",
            json!(["1900-03-12 00:00:00", [1900, 3, 12]]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_key_is_derived_from_bytes_only() {
    let code = |password: &str, salt: &str, name: &str| {
        format!(
            "import hashlib\ntry:\n    return hashlib.pbkdf2_hmac('{name}', {password}, {salt}, 1).hex()[:8]\n\
             except (TypeError, ValueError) as error:\n    return type(error).__name__"
        )
    };
    for (password, salt, name, expected) in [
        ("b'p'", "b's'", "sha256", "372cc981"),
        ("bytearray(b'p')", "memoryview(b's')", "sha256", "372cc981"),
        ("1234", "b's'", "sha256", "TypeError"),
        ("[1, 2]", "b's'", "sha256", "TypeError"),
        ("'p'", "b's'", "sha256", "TypeError"),
        ("b'p'", "8", "sha256", "TypeError"),
        ("b'p'", "b's'", "shake_128", "ValueError"),
    ] {
        assert_eq!(value(&code(password, salt, name)).await, expected, "{password} {salt} {name}");
    }
}

//! The in-memory file system: what scripts do with files, and the limits of files.

use serde_json::json;

use super::{all_fail, all_return, run, run_each};

#[tokio::test]
async fn files_open_in_every_mode() {
    all_return(&[
        ("with open('a.txt', 'w') as f: n = f.write('één\\nzwei\\n')\nreturn [n, open('a.txt').read(), open('a.txt', 'rb').read().hex()]",
            json!([9, "één\nzwei\n", "c3a9c3a96e0a7a7765690a"])),
        ("open('a', 'w').write('one')\nopen('a', 'a').write('two')\nreturn open('a').read()", json!("onetwo")),
        ("open('a', 'x').write('1')\ntry: open('a', 'x')\nexcept FileExistsError as e: return e.filename", json!("a")),
        ("open('a', 'w').write('12345')\nwith open('a', 'r+') as f:\n    f.seek(2)\n    f.write('X')\n    f.seek(0, 2)\n    end = f.tell()\nreturn [open('a').read(), end]",
            json!(["12X45", 5])),
        ("with open('a', 'wb+') as f:\n    f.seek(10_000)\n    f.write(b'end')\n    f.truncate(10_001)\n    f.seek(9_998)\n    rest = f.read()\nreturn rest.hex()", json!("000065")),
        ("with open('a', 'wb') as f:\n    f.write(b'x' * 5000)\n    f.truncate(10)\n    f.truncate(6000)\nreturn [open('a', 'rb').read().count(b'x'), len(open('a', 'rb').read())]", json!([10, 6000])),
        ("lines = [f'{n}\\n' for n in range(10_000)]\nopen('a', 'w').writelines(lines)\nreturn sum(int(x) for x in open('a'))", json!(49_995_000)),
        ("import os\nfd = os.open('b', os.O_RDWR | os.O_CREAT)\nos.write(fd, b'abc')\nreturn [os.pread(fd, 2, 1).decode(), os.lseek(fd, 0, 1), os.close(fd)]", json!(["bc", 3, null])),
        ("f = open('a', 'w+')\nimport os\nos.remove('a')\nf.write('still here')\nf.seek(0)\nreturn [f.read(), os.path.exists('a')]", json!(["still here", false])),
    ])
    .await;
    all_fail(&[
        ("open('no.txt')", "[Errno 44] No such file or directory: 'no.txt'"),
        ("open('no/such.txt', 'w')", "[Errno 44] No such file or directory: 'no/such.txt'"),
        ("open('/tmp', 'w')", "[Errno 31] Is a directory: '/tmp'"),
        ("open('a', 'w').close()\nopen('a/b', 'w')", "[Errno 54] Not a directory: 'a/b'"),
        ("open('a', 'w').read()", "not readable"),
    ])
    .await;
}

#[tokio::test]
async fn directories_paths_and_times_are_those_of_a_system() {
    all_return(&[
        ("import os, getpass\nassert getpass.getuser() == 'task'\nreturn [os.getcwd(), os.path.expanduser('~'), sorted(os.listdir('/')), os.listdir('.'), os.path.isdir('/tmp')]",
            json!(["/home/task", "/home/task", ["dev", "home", "tmp", "usr"], [], true])),
        ("import os\nos.makedirs('a/b/c')\nopen('a/b/x', 'w').write('1')\nos.chdir('a')\nreturn [os.getcwd(), sorted(os.listdir('b')), os.path.abspath('../a/./b'), os.path.exists('../a/b/x')]",
            json!(["/home/task/a", ["c", "x"], "/home/task/a/b", true])),
        ("import os\nfor n in range(300): open(f'f{n}', 'w').close()\nfor n in os.listdir('.'): os.remove(n)\nreturn os.listdir('.')", json!([])),
        ("import os\nfor n in range(200): open(f'file-with-a-long-name-{n}', 'w').close()\nreturn len(set(os.listdir('.')))", json!(200)),
        ("from pathlib import Path\np = Path('d/e')\np.mkdir(parents=True)\n(p / 'a.txt').write_text('hi')\n(p / 'b.py').touch()\n\
          return [sorted(str(x) for x in Path('.').glob('**/*')), (p / 'a.txt').stat().st_size, [x.name for x in p.glob('*.txt')], Path('~/d').expanduser().is_dir()]",
            json!([["d", "d/e", "d/e/a.txt", "d/e/b.py"], 2, ["a.txt"], true])),
        ("import os\nos.makedirs('p/q')\nopen('p/1', 'w').close()\nopen('p/q/2', 'w').close()\nreturn [[a, b, c] for a, b, c in os.walk('p')]",
            json!([["p", ["q"], ["1"]], ["p/q", [], ["2"]]])),
        ("import os\nopen('a', 'w').write('x')\nos.rename('a', 'b')\nos.mkdir('d')\nos.replace('b', 'd/c')\nos.rename('d', 'e')\nreturn [os.listdir('.'), open('e/c').read()]", json!([["e"], "x"])),
        ("import os\nopen('a', 'w').write('x')\nos.link('a', 'b')\nos.symlink('a', 'l')\nopen('b', 'w').write('yy')\nreturn [open('l').read(), os.stat('a').st_nlink, os.readlink('l'), os.path.islink('l'), os.path.realpath('l')]",
            json!(["yy", 2, "a", true, "/home/task/a"])),
        ("import os, time\nopen('a', 'w').close()\nnew = abs(os.stat('a').st_mtime - time.time()) < 5\nos.utime('a', (1, 2))\nreturn [new, os.stat('a').st_mtime, os.path.getatime('a')]", json!([true, 2.0, 1.0])),
        ("import os, errno\ndef code(f, *a):\n    try: f(*a)\n    except OSError as e: return errno.errorcode[e.errno]\nos.makedirs('a/b')\nopen('f', 'w').close()\nos.symlink('loop', 'loop')\n\
          return [code(os.rmdir, 'a'), code(os.rename, 'a', 'a/b/c'), code(os.remove, 'a'), code(os.rmdir, 'f'), code(os.mkdir, 'a'), code(open, 'loop'), code(os.rename, 'f', 'a'), code(open, 'x' * 300)]",
            json!(["ENOTEMPTY", "EINVAL", "EISDIR", "ENOTDIR", "EEXIST", "ELOOP", "EISDIR", "ENAMETOOLONG"])),
    ])
    .await;
}

#[tokio::test]
async fn the_library_works_with_files() {
    all_return(&[
        ("import shutil, os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('1')\nshutil.copytree('a', 'z')\nshutil.move('z/b', 'y')\nshutil.rmtree('a')\nreturn [sorted(os.listdir('.')), open('y/c').read(), shutil.copy('y/c', 'c2')]",
            json!([["y", "z"], "1", "c2"])),
        ("import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n    p = os.path.join(d, 'x')\n    open(p, 'w').write('1')\n    inside = os.path.dirname(d)\nwith tempfile.NamedTemporaryFile('w+', suffix='.txt') as f:\n    f.write('2')\n    f.flush()\n    two = open(f.name).read()\nreturn [inside, os.path.exists(d), two, os.listdir('/tmp'), tempfile.gettempdir()]",
            json!(["/tmp", false, "2", [], "/tmp"])),
        ("import zipfile\nwith zipfile.ZipFile('a.zip', 'w', zipfile.ZIP_DEFLATED) as z:\n    z.writestr('d/x.txt', 'hello' * 100)\nwith zipfile.ZipFile('a.zip') as z:\n    z.extractall('out')\nreturn [zipfile.is_zipfile('a.zip'), len(open('out/d/x.txt').read())]",
            json!([true, 500])),
        ("import tarfile\nopen('x', 'w').write('abc')\nwith tarfile.open('t.tar.gz', 'w:gz') as t: t.add('x', 'y')\nwith tarfile.open('t.tar.gz') as t: t.extractall('o', filter='data')\nreturn open('o/y').read()", json!("abc")),
        ("import csv\nwith open('a.csv', 'w', newline='') as f: csv.writer(f).writerows([['a', 'b'], [1, 'x,y']])\nreturn list(csv.DictReader(open('a.csv')))", json!([{"a": "1", "b": "x,y"}])),
        ("import glob, fnmatch, fileinput\nfor n in 'ab': open(n + '.log', 'w').write(n + '1\\n' + n + '2\\n')\nreturn [sorted(glob.glob('*.log')), [x.strip() for x in fileinput.input(sorted(glob.glob('*.log')))]]",
            json!([["a.log", "b.log"], ["a1", "a2", "b1", "b2"]])),
        ("import shelve\nwith shelve.open('s') as s: s['k'] = [1, 2]\nwith shelve.open('s') as s: return s['k']", json!([1, 2])),
        ("import logging\nlogging.basicConfig(filename='app.log', level=logging.INFO, format='%(message)s')\nlogging.info('seen')\nlogging.shutdown()\nreturn open('app.log').read()", json!("seen\n")),
        ("import json, gzip\njson.dump({'a': 1}, open('a.json', 'w'))\ngzip.open('b.gz', 'wt').write('zip')\nreturn [json.load(open('a.json')), gzip.open('b.gz', 'rt').read()]", json!([{"a": 1}, "zip"])),
        ("import os, contextlib\nwith contextlib.redirect_stdout(open(os.devnull, 'w')): print('gone')\nreturn [open('/dev/null').read(), open('/dev/zero', 'rb').read(3).hex(), len(open('/dev/urandom', 'rb').read(8))]", json!(["", "000000", 8])),
    ])
    .await;
}

#[tokio::test]
async fn files_have_permission_bits() {
    all_return(&[
        ("import os\nopen('f', 'w').close()\nos.mkdir('d')\nos.symlink('f', 'l')\nreturn [oct(m) for m in (os.stat('f').st_mode, os.stat('d').st_mode, os.lstat('l').st_mode, os.stat('/dev/null').st_mode)]",
            json!(["0o100644", "0o40755", "0o120777", "0o20666"])),
        ("import os\nopen('f', 'w').close()\nos.chmod('f', 0o600)\none = os.stat('f').st_mode\nwith open('f') as f: os.fchmod(f.fileno(), 0o754)\nos.rename('f', 'g')\nreturn [oct(one), oct(os.stat('g').st_mode), os.stat('g').st_uid == os.getuid()]",
            json!(["0o100600", "0o100754", true])),
        ("import os\nold = os.umask(0o077)\nopen('f', 'w').close()\nos.mkdir('d', 0o777)\nreturn [oct(old), oct(os.umask(0)), oct(os.stat('f').st_mode), oct(os.stat('d').st_mode)]",
            json!(["0o22", "0o77", "0o100600", "0o40700"])),
        ("import os\nopen('f', 'w').close()\nos.symlink('f', 'l')\nos.chmod('l', 0o640)\nreturn [oct(os.stat('f').st_mode), oct(os.lstat('l').st_mode)]", json!(["0o100640", "0o120777"])),
        ("import os\nopen('f', 'w').close()\nreturn [os.access('f', os.R_OK | os.W_OK), os.access('.', os.X_OK), os.access('no', os.F_OK)]", json!([true, true, false])),
        ("import os, shutil, stat\nopen('f', 'w').close()\nos.chmod('f', 0o755)\nshutil.copy('f', 'g')\nshutil.copyfile('f', 'h')\nshutil.copymode('f', 'h')\nreturn [stat.filemode(os.stat(n).st_mode) for n in 'gh']", json!(["-rwxr-xr-x", "-rwxr-xr-x"])),
        ("import os, zipfile, tarfile\nopen('f', 'w').close()\nos.chmod('f', 0o755)\nzipfile.ZipFile('z', 'w').write('f')\nwith tarfile.open('t', 'w') as t: t.add('f')\n\
          with tarfile.open('t') as t: t.extractall('o', filter='data')\nreturn [oct(zipfile.ZipFile('z').getinfo('f').external_attr >> 16), oct(os.stat('o/f').st_mode)]", json!(["0o100755", "0o100755"])),
        ("import os\nopen('f', 'w').write('x' * 600)\nos.chown('f', os.getuid(), -1)\ntry: os.chown('f', 0, 0)\nexcept PermissionError: return os.stat('f').st_blocks", json!(2)),
        ("import tempfile, os, stat\nwith tempfile.NamedTemporaryFile() as f: one = stat.S_IMODE(os.stat(f.name).st_mode)\nreturn [oct(one), oct(stat.S_IMODE(os.stat(tempfile.mkdtemp()).st_mode))]", json!(["0o600", "0o700"])),
    ])
    .await;
}

#[tokio::test]
async fn the_empty_path_names_nothing() {
    all_return(&[(
        "import os\ndef code(f, *a):\n    try: return f(*a)\n    except OSError as e: return e.errno\nopen('f', 'w').close()\n\
         return [code(f, *a) for f, *a in [(os.rmdir, ''), (os.stat, ''), (open, ''), (os.mkdir, ''), (os.listdir, ''), (os.rename, 'f', ''), (os.chmod, '', 0), (os.remove, ''), (os.chdir, ''), (os.path.exists, '')]] + [os.getcwd()]",
        json!([44, 44, 44, 44, 44, 44, 44, 44, 44, false, "/home/task"]),
    )])
    .await;
}

/// Python keeps memory for itself, so the code can go on.
#[tokio::test]
async fn files_that_fill_the_memory_leave_room_for_python() {
    all_return(&[(
        "import errno, os\nn, name = 0, None\ntry:\n    with open('big', 'wb', 0) as f:\n        while True: n += f.write(b'x' * 100_000)\nexcept OSError as e: name = errno.errorcode[e.errno]\n\
         half = open('big', 'rb').read(10_000_000)\nos.remove('big')\nopen('small', 'w').write('y')\nreturn [name, n > 300_000_000, half.count(b'x'), open('small').read()]",
        json!(["ENOSPC", true, 10_000_000, "y"]),
    )])
    .await;
}

#[tokio::test]
async fn standard_output_as_a_file_is_standard_error() {
    let code = "import os\nos.write(1, b'one\\n')\nopen('/dev/stdout', 'w').write('two\\n')\nopen(1, 'w', closefd=False).write('three\\n')\nopen('/dev/stderr', 'w').write('four\\n')\nreturn open('/dev/stdin').read()";
    let ran = run(code).await;
    assert_eq!(ran.value(), "");
    assert_eq!(ran.outcome.stderr, "one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn code_imports_modules_that_it_wrote() {
    all_return(&[
        ("open('helper.py', 'w').write('def double(x): return 2 * x\\n')\nfrom helper import double\nimport helper\nreturn [double(4), helper.__file__]", json!([8, "/home/task/helper.py"])),
        ("import os, sys\nos.makedirs('/tmp/lib/mine/deep')\nfor n in ('mine/__init__', 'mine/deep/__init__', 'mine/deep/a'): open(f'/tmp/lib/{n}.py', 'w').write(f'NAME = __name__')\nsys.path.insert(0, '/tmp/lib')\nimport mine.deep.a\nreturn mine.deep.a.NAME", json!("mine.deep.a")),
        ("import sys, zipfile\nwith zipfile.ZipFile('lib.zip', 'w') as z: z.writestr('zipped.py', 'X = 3')\nsys.path.append('lib.zip')\nimport zipped\nreturn [zipped.X, zipped.__file__]", json!([3, "lib.zip/zipped.py"])),
        ("import importlib\nout = []\nfor n in range(3):\n    open(f'm{n}.py', 'w').write(f'X = {n}')\n    out.append(importlib.import_module(f'm{n}').X)\nreturn out", json!([0, 1, 2])),
        ("import runpy\nopen('script.py', 'w').write('import sys\\nY = __name__')\nreturn runpy.run_path('script.py', run_name='__main__')['Y']", json!("__main__")),
        ("open('bad.py', 'w').write('x = 1\\n1/0\\n')\nimport traceback\ntry: import bad\nexcept ZeroDivisionError: return traceback.format_exc().splitlines()[-3:-1]", json!(["    1/0", "    ~^~"])),
    ])
    .await;
}

#[tokio::test]
async fn modules_and_the_program_have_a_place() {
    all_return(&[
        ("import os, email\nreturn [os.__file__, os.path.isdir(os.path.dirname(os.__file__)), email.__path__, os.listdir(os.path.dirname(email.__path__[0]))]",
            json!(["/usr/lib/python3.13/os.py", true, ["/usr/lib/python3.13/email"], ["site-packages"]])),
        ("import os, pathlib\nreturn [os.path.dirname(os.path.abspath(__file__)), pathlib.Path(__file__).parent.is_dir()]", json!(["/home/task", true])),
        ("import sys, sysconfig\nreturn [sys.path, sys.prefix, sysconfig.get_path('stdlib')]", json!([["/home/task", "/usr/lib/python3.13", "/usr/lib/python3.13/site-packages"], "/usr", "/usr/lib/python3.13"])),
    ])
    .await;
}

#[tokio::test]
async fn the_library_is_read_only() {
    let code = "
import os
site = '/usr/lib/python3.13/site-packages'
source = site + '/requests/api.py'
os.link(source, '/tmp/link')
def refused(function, *args):
    try:
        function(*args)
    except OSError as error:
        return error.strerror == 'Read-only file system'
return [refused(*call) for call in [
    (open, source, 'w'), (open, source, 'a'), (open, source, 'r+'), (open, '/tmp/link', 'w'),
    (open, site + '/new.py', 'w'), (os.mkdir, '/usr/new'), (os.remove, source), (os.rename, '/usr', '/u'),
    (os.rmdir, site + '/requests'), (os.rename, source, '/tmp/api.py'), (os.link, '/tmp/link', '/usr/link'),
    (os.symlink, '/tmp', '/usr/tmp'), (os.truncate, source, 0), (os.chmod, source, 0), (os.utime, source),
    (os.replace, '/tmp/link', site + '/requests/models.py'),
]] + [os.path.isfile(source), open(source).read() == open('/tmp/link').read(), os.remove('/tmp/link')]";
    let ran = run(code).await;
    let mut expected = vec![json!(true); 18];
    expected.push(json!(null));
    assert_eq!(ran.value(), json!(expected));
}

#[tokio::test]
async fn files_of_one_task_are_not_seen_by_the_next() {
    run("open('/tmp/left', 'w').write('1')").await.value();
    all_return(&[("import os\nreturn os.path.exists('/tmp/left')", json!(false))]).await;
    let ran = run_each(
        "import os\nopen(f\"f{_item['json']['n']}\", 'w').close()\nreturn {'seen': sorted(os.listdir('.'))}",
        &json!([{"json": {"n": 1}}, {"json": {"n": 2}}]),
    )
    .await;
    assert_eq!(ran.value()[1]["json"]["seen"], json!(["f1", "f2"]));
}

/// Operations in random order on our files and on a model, as in any other system.
#[tokio::test]
async fn random_operations_agree_with_a_model() {
    let code = r"
import os, random
random.seed(7)
names = ['a', 'b', 'd/a', 'd/b', 'd']
model = {}
os.mkdir('d')
def attempt(f, *args):
    try: return f(*args)
    except OSError: return None
for step in range(3000):
    one, two = random.choice(names[:4]), random.choice(names[:4])
    match random.randrange(6):
        case 0:
            data = random.randbytes(random.choice([0, 1, 4095, 4096, 4097, 9000]))
            with open(one, 'wb') as f: f.write(data)
            model[one] = data
        case 1:
            if one in model:
                at, data = random.randrange(len(model[one]) + 5000), random.randbytes(random.randrange(1, 6000))
                with open(one, 'rb+') as f:
                    f.seek(at); f.write(data)
                old = model[one].ljust(at, b'\0')
                model[one] = old[:at] + data + old[at + len(data):]
        case 2:
            if one in model:
                size = random.randrange(9000)
                os.truncate(one, size)
                model[one] = model[one][:size].ljust(size, b'\0')
        case 3:
            if one in model and one != two:
                os.replace(one, two)
                model[two] = model.pop(one)
        case 4:
            attempt(os.remove, one)
            model.pop(one, None)
        case 5:
            assert os.path.exists(one) == (one in model)
            if one in model:
                with open(one, 'rb') as f:
                    assert f.read() == model[one], (step, one)
                    assert os.stat(one).st_size == len(model[one])
    assert sorted(os.listdir('d')) == sorted(n[2:] for n in model if n[:2] == 'd/')
return sum(map(len, model.values())) > 0
";
    all_return(&[(code, json!(true))]).await;
}

/// Adding a file looks for its name among all others.
#[tokio::test]
async fn a_directory_of_many_files_stays_quick() {
    let ran = run("import os\nfor n in range(2000): os.close(os.open(f'file-{n:06}', os.O_CREAT | os.O_WRONLY))\nreturn len(os.listdir())").await;
    assert_eq!(ran.value(), 2000);
    let fuel = ran.outcome.usage.fuel;
    assert!(fuel < 400_000_000, "{fuel}");
}

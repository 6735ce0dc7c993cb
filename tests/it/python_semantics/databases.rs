//! `sqlite3`: queries, functions, files, locks and limits. Its values are those of CPython elsewhere.

use serde_json::json;

use super::{all_return, run, value};

#[tokio::test]
async fn queries_and_transactions_give_pythons_values() {
    all_return(&[
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.execute('create table t (n integer primary key, name text, price real, data blob)')\ncon.executemany('insert into t (name, price, data) values (?, ?, ?)', [('één', 1.5, b'\\x00\\xff'), ('zwei', None, None)])\nrows = con.execute('select * from t order by n').fetchall()\nreturn [[*r[:3], r[3] and r[3].hex()] for r in rows]",
            json!([[1, "één", 1.5, "00ff"], [2, "zwei", null, null]]),
        ),
        (
            "import sqlite3\nwith sqlite3.connect(':memory:') as con:\n    con.execute('create table t (n int)')\n    con.executemany('insert into t values (?)', ((i,) for i in range(1000)))\nreturn con.execute('select sum(n), count(*), avg(n), max(n) from t where n % 2').fetchone()",
            json!([250000, 500, 500.0, 999]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.execute('create table t (n int unique)')\ntry:\n    with con:\n        con.execute('insert into t values (1)')\n        con.execute('insert into t values (1)')\nexcept sqlite3.IntegrityError as e: text = str(e)\nwith con: con.execute('insert into t values (2)')\nreturn [text, con.execute('select n from t').fetchall(), con.in_transaction, con.total_changes]",
            json!(["UNIQUE constraint failed: t.n", [[2]], false, 2]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.row_factory = sqlite3.Row\ncur = con.execute('select 1 as a, :x as b', {'x': 'y'})\nrow = cur.fetchone()\nreturn [row.keys(), row['A'], row[1], tuple(row), [c[0] for c in cur.description], dict(row)]",
            json!([["a", "b"], 1, "y", [1, "y"], ["a", "b"], {"a": 1, "b": "y"}]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.executescript('create table a (x); insert into a values (1), (2); create view v as select x * 2 as y from a; create trigger t after delete on a begin insert into a values (old.x + 10); end; delete from a where x = 1;')\nreturn [con.execute('select * from v order by y').fetchall(), con.execute(\"select name from sqlite_master order by name\").fetchall(), list(con.iterdump())]",
            json!([[[4], [22]], [["a"], ["t"], ["v"]], ["BEGIN TRANSACTION;", "CREATE TABLE a (x);", "INSERT INTO \"a\" VALUES(2);", "INSERT INTO \"a\" VALUES(11);", "CREATE VIEW v as select x * 2 as y from a;", "CREATE TRIGGER t after delete on a begin insert into a values (old.x + 10); end;", "COMMIT;"]]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:', isolation_level=None)\ncon.execute('create table t (n)')\ncon.execute('begin')\ncon.execute('insert into t values (1)')\ncon.execute('savepoint s')\ncon.execute('insert into t values (2)')\ncon.execute('rollback to s')\ncon.execute('commit')\ncur = con.execute('insert into t values (3) returning n, rowid')\nreturn [cur.fetchall(), cur.lastrowid, con.execute('select n from t').fetchall()]",
            json!([[[3, 2]], 2, [[1], [3]]]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\nreturn con.execute(\"with recursive f(a, b) as (values (0, 1) union all select b, a + b from f limit 30) select max(a) from f\").fetchone() + con.execute(\"select group_concat(x, '-') over (order by x rows 1 preceding), row_number() over (order by x desc) from (values (1), (2), (3)) as t(x)\".replace('(values (1), (2), (3)) as t(x)', '(select 1 as x union select 2 union select 3)')).fetchall()[-1]",
            json!([514229, "2-3", 1]),
        ),
        (
            "import sqlite3, datetime, decimal, warnings\nwarnings.simplefilter('ignore')\nsqlite3.register_adapter(decimal.Decimal, str)\nsqlite3.register_converter('dec', lambda b: decimal.Decimal(b.decode()))\ncon = sqlite3.connect(':memory:', detect_types=sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES)\ncon.execute('create table t (d date, s timestamp, m dec)')\ncon.execute('insert into t values (?, ?, ?)', (datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 4), decimal.Decimal('1.10')))\nreturn [str(x) for x in con.execute('select * from t').fetchone()] + [type(x).__name__ for x in con.execute('select d, s, m from t').fetchone()]",
            json!(["2024-02-29", "2024-02-29 01:02:03.000004", "1.1", "date", "datetime", "Decimal"]),
        ),
        (
            "import sqlite3\nclass P:\n    def __init__(self, x): self.x = x\n    def __conform__(self, p): return f'P{self.x}' if p is sqlite3.PrepareProtocol else None\nreturn sqlite3.connect(':memory:').execute('select ?', (P(3),)).fetchone()",
            json!(["P3"]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.text_factory = bytes\na = con.execute(\"select 'é'\").fetchone()[0]\ncon.text_factory = lambda b: b.decode('latin-1')\nreturn [a.hex(), con.execute(\"select 'é'\").fetchone()[0]]",
            json!(["c3a9", "Ã©"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn functions_of_programs_and_of_sqlite_work() {
    all_return(&[
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.create_function('twice', 1, lambda x: x * 2, deterministic=True)\ncon.create_collation('back', lambda a, b: (a < b) - (a > b))\nclass Longest:\n    def __init__(self): self.best = ''\n    def step(self, x): self.best = max(self.best, x, key=len)\n    def finalize(self): return self.best\ncon.create_aggregate('longest', 1, Longest)\ncon.execute('create table t (w)')\ncon.executemany('insert into t values (?)', [('a',), ('ccc',), ('bb',)])\nreturn [con.execute('select twice(21)').fetchone()[0], con.execute('select longest(w) from t').fetchone()[0], [r[0] for r in con.execute('select w from t order by w collate back')]]",
            json!([42, "ccc", ["ccc", "bb", "a"]]),
        ),
        (
            "import sqlite3\nclass Sum:\n    def __init__(self): self.n = 0\n    def step(self, x): self.n += x\n    def inverse(self, x): self.n -= x\n    def value(self): return self.n\n    def finalize(self): return self.n\ncon = sqlite3.connect(':memory:')\ncon.create_window_function('wsum', 1, Sum)\nreturn [r[0] for r in con.execute('select wsum(x) over (order by x rows between 1 preceding and 1 following) from (select 1 as x union select 2 union select 5)')]",
            json!([3, 8, 7]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\nreturn con.execute(\"select json_extract('{\\\"a\\\":[1,{\\\"b\\\":2}]}', '$.a[1].b'), json_group_array(value) from json_each('[3,4]')\").fetchone() + con.execute(\"select '{\\\"x\\\":5}' ->> 'x', round(sqrt(3), 6), cos(0), floor(-1.5), pow(2, 10), upper('abc'), printf('%05.1f', 2.25), hex(x'0aff'), soundex('Robert')\").fetchone()",
            json!([2, "[3,4]", 5, 1.732051, 1.0, -2.0, 1024.0, "ABC", "002.3", "0AFF", "R163"]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.execute('create virtual table d using fts5(title, body)')\ncon.executemany('insert into d values (?, ?)', [('Apples', 'red and green fruit'), ('Pears', 'green fruit'), ('Cars', 'fast machines')])\nreturn [con.execute(\"select title from d where d match 'green NOT red'\").fetchall(), con.execute(\"select highlight(d, 1, '[', ']') from d where d match 'fru*' order by rank, rowid\").fetchall(), con.execute(\"select snippet(d, 1, '<', '>', '…', 2) from d where d match 'machines'\").fetchone()]",
            json!([[["Pears"]], [["green [fruit]"], ["red and green [fruit]"]], ["fast <machines>"]]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.execute('create virtual table r using rtree(id, x0, x1, y0, y1)')\ncon.executemany('insert into r values (?, ?, ?, ?, ?)', [(i, i, i + 1, i, i + 1) for i in range(100)])\nreturn [r[0] for r in con.execute('select id from r where x0 >= 10 and x1 <= 13')]",
            json!([10, 11, 12]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\nreturn con.execute(\"select date('2024-01-31', '+1 month'), strftime('%Y-%W', '2024-05-06'), julianday('2000-01-01 12:00'), unixepoch('1970-01-02'), datetime(0, 'unixepoch', 'localtime'), date('now') = date(unixepoch(), 'unixepoch')\").fetchone()",
            json!(["2024-03-02", "2024-19", 2451545.0, 86400, "1970-01-01 00:00:00", 1]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.execute('create table b (x blob)')\ncon.execute('insert into b values (zeroblob(5))')\nwith con.blobopen('b', 'x', 1) as blob:\n    blob.write(b'ab')\n    blob[4] = 99\n    blob.seek(0)\n    r = blob.read()\nreturn [r.hex(), len(con.serialize()) > 0]",
            json!(["6162000063", true]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\nseen = []\ncon.set_trace_callback(seen.append)\ncon.set_authorizer(lambda action, *a: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_DROP_TABLE else sqlite3.SQLITE_OK)\ncon.execute('create table t (n)')\ntry: con.execute('drop table t')\nexcept sqlite3.DatabaseError as e: return [str(e), seen]",
            json!(["not authorized", ["create table t (n)"]]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.set_progress_handler(lambda: 1, 1000)\ntry: con.execute('with recursive c(x) as (select 1 union all select x + 1 from c) select sum(x) from c').fetchone()\nexcept sqlite3.OperationalError as e: return str(e)",
            json!("interrupted"),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect(':memory:')\ncon.create_function('bad', 0, lambda: 1 / 0)\ntry: con.execute('select bad()')\nexcept sqlite3.OperationalError as e: return str(e)",
            json!("user-defined function raised exception"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn databases_in_files_are_kept_and_locked() {
    all_return(&[
        (
            "import sqlite3, os\ncon = sqlite3.connect('a.db')\ncon.execute('create table t (n)')\ncon.execute('insert into t values (7)')\njournal = os.path.exists('a.db-journal')\ncon.commit()\nafter = os.path.exists('a.db-journal')\ncon.close()\nwith open('a.db', 'rb') as f: head = f.read(15).decode()\nreturn [journal, after, head, sqlite3.connect('a.db').execute('select * from t').fetchall(), os.listdir('.')]",
            json!([true, false, "SQLite format 3", [[7]], ["a.db"]]),
        ),
        (
            "import sqlite3\na = sqlite3.connect('a.db', timeout=0)\nb = sqlite3.connect('a.db', timeout=0)\na.execute('create table t (n)')\na.commit()\na.execute('insert into t values (1)')\nbefore = b.execute('select count(*) from t').fetchone()[0]\ntry: b.execute('insert into t values (2)')\nexcept sqlite3.OperationalError as e: text = str(e)\na.commit()\nb.execute('insert into t values (2)')\nb.commit()\nreturn [before, text, a.execute('select n from t').fetchall()]",
            json!([0, "database is locked", [[1], [2]]]),
        ),
        (
            "import sqlite3\na = sqlite3.connect('a.db', timeout=0)\na.execute('create table t (n)')\na.commit()\nreader = sqlite3.connect('file:a.db?mode=ro', uri=True, timeout=0)\na.execute('begin exclusive')\na.execute('insert into t values (1)')\ntexts = []\nfor c in (reader, a):\n    try: c.execute('select n from t').fetchall()\n    except sqlite3.OperationalError as e: texts.append(str(e))\na.commit()\ntry: reader.execute('insert into t values (2)')\nexcept sqlite3.OperationalError as e: texts.append(str(e))\nreturn [texts, reader.execute('select n from t').fetchall()]",
            json!([["database is locked", "attempt to write a readonly database"], [[1]]]),
        ),
        (
            "import sqlite3, os\na = sqlite3.connect('w.db', timeout=0)\nmode = a.execute('pragma journal_mode=wal').fetchone()[0]\na.execute('create table t (n)')\na.commit()\nb = sqlite3.connect('w.db', timeout=0)\nro = sqlite3.connect('file:w.db?mode=ro', uri=True)\na.execute('insert into t values (1)')\nseen = [b.execute('select count(*) from t').fetchone()[0], ro.execute('select count(*) from t').fetchone()[0]]\na.commit()\nseen += [b.execute('select count(*) from t').fetchone()[0], ro.execute('select count(*) from t').fetchone()[0]]\na.executemany('insert into t values (?)', [(i,) for i in range(5000)])\na.commit()\ncheck = a.execute('pragma wal_checkpoint(truncate)').fetchone()\nfor c in (ro, b, a): c.close()\nreturn [mode, seen, check[0], sorted(os.listdir('.')), sqlite3.connect('w.db').execute('select count(*) from t').fetchone()[0]]",
            json!(["wal", [0, 0, 1, 1], 0, ["w.db"], 5001]),
        ),
        (
            "import sqlite3, os\ncon = sqlite3.connect('big.db')\ncon.execute('create table t (x)')\ncon.executemany('insert into t values (?)', [('x' * 500,) for _ in range(2000)])\ncon.commit()\nbefore = os.path.getsize('big.db')\ncon.execute('delete from t where rowid > 10')\ncon.commit()\ncon.execute('vacuum')\ncon.execute(\"vacuum into 'copy.db'\")\nreturn [before > 1_000_000, os.path.getsize('big.db') < 50_000, sqlite3.connect('copy.db').execute('select count(*) from t').fetchone()[0], con.execute('pragma integrity_check').fetchone()[0]]",
            json!([true, true, 10, "ok"]),
        ),
        (
            "import sqlite3\na = sqlite3.connect('a.db')\na.execute('create table t (n)')\na.execute('insert into t values (1)')\na.commit()\na.execute(\"attach 'b.db' as b\")\na.execute('create table b.u as select n + 1 as m from t')\na.commit()\nmem = sqlite3.connect(':memory:')\npages = []\nsqlite3.connect('b.db').backup(mem, pages=1, progress=lambda s, r, t: pages.append(r))\nreturn [mem.execute('select * from u').fetchall(), pages, a.execute('select t.n, u.m from t join b.u').fetchall()]",
            json!([[[2]], [1, 0], [[1, 2]]]),
        ),
        (
            "import sqlite3\ncon = sqlite3.connect('a.db')\ncon.execute('pragma temp_store=file')\ncon.execute('create temp table t (x)')\ncon.executemany('insert into t values (?)', [(str(i) * 50,) for i in range(3000)])\nreturn [con.execute('select count(distinct x) from t').fetchone()[0], con.execute('select x from t order by x desc limit 1').fetchone()[0][:4], sqlite3.connect('').execute('select 1').fetchone()[0]]",
            json!([3000, "9999", 1]),
        ),
        (
            "import sqlite3, os\nos.mkdir('d')\nos.symlink('d', 'l')\ncon = sqlite3.connect('l/../l/a.db')\ncon.execute('create table t (n)')\ncon.close()\nreturn [os.listdir('d'), sqlite3.connect('d/a.db').execute('select name from sqlite_master').fetchall()]",
            json!([["a.db"], [["t"]]]),
        ),
        (
            "import sqlite3\ntry: sqlite3.connect('/no/such.db')\nexcept sqlite3.OperationalError as e: a = str(e)\nopen('x', 'w').write('not a database, but long enough for a header' * 100)\ntry: sqlite3.connect('x').execute('select * from t')\nexcept sqlite3.DatabaseError as e: return [a, type(e).__name__, str(e)]",
            json!(["unable to open database file", "DatabaseError", "file is not a database"]),
        ),
        (
            "import sqlite3\nfor n in range(1100):\n    con = sqlite3.connect('a.db')\n    con.execute('create table if not exists t (n)')\n    con.execute('insert into t values (?)', (n,))\n    con.commit()\n    con.close()\nreturn sqlite3.connect('a.db').execute('select count(*) from t').fetchone()[0]",
            json!(1100),
        ),
        (
            "import sqlite3\nkeep = sqlite3.connect('a.db')\nkeep.execute('create table t (n)')\nkeep.commit()\nkeep.execute('select * from t').fetchall()\nfor n in range(1100):\n    con = sqlite3.connect('a.db')\n    con.execute('select * from t').fetchall()\n    con.close()\nreturn keep.execute('select count(*) from t').fetchone()[0]",
            json!(0),
        ),
        (
            "import dbm, shelve, os\nwith shelve.open('s') as s: s['a'] = [1, {'b': 2}]\nwith shelve.open('s') as s: v = s['a']\nwith dbm.open('d', 'c') as d: d['k'] = 'v'\nwith dbm.open('d') as d: return [v, d[b'k'].decode(), dbm.whichdb('d')]",
            json!([[1, {"b": 2}], "v", "dbm.sqlite3"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn threads_share_a_connection_only_on_request() {
    all_return(&[
        (
            "import sqlite3, threading\ncon = sqlite3.connect(':memory:')\nfound = []\ndef work():\n    try: con.execute('select 1')\n    except sqlite3.ProgrammingError as e: found.append(str(e)[:73])\n    found.append(sqlite3.connect(':memory:'))\nt = threading.Thread(target=work)\nt.start()\nt.join()\ntry: found.pop().execute('select 1')\nexcept sqlite3.ProgrammingError as e: found.append(str(e)[:14])\nreturn found + [con.execute('select 2').fetchone()[0]]",
            json!(["SQLite objects created in a thread can only be used in that same thread. ", "SQLite objects", 2]),
        ),
        (
            "import sqlite3\nfrom concurrent.futures import ThreadPoolExecutor\ncon = sqlite3.connect('a.db', check_same_thread=False)\ncon.execute('create table t (n)')\ndef add(n):\n    with con: con.execute('insert into t values (?)', (n,))\n    own = sqlite3.connect('a.db')\n    return own.execute('select count(*) from t').fetchone()[0]\nwith ThreadPoolExecutor(1) as pool: counts = list(pool.map(add, range(20)))\nreturn [counts[-1], con.execute('select sum(n) from t').fetchone()[0]]",
            json!([20, 190]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn extensions_from_files_do_not_exist() {
    all_return(&[
        (
            "import sqlite3\nreturn [hasattr(sqlite3.Connection, 'load_extension'), hasattr(sqlite3.Connection, 'enable_load_extension'), sqlite3.threadsafety, sqlite3.sqlite_version]",
            json!([false, false, 0, "3.46.1"]),
        ),
        (
            "import sqlite3\ntry: sqlite3.connect(':memory:').execute(\"select load_extension('x')\")\nexcept sqlite3.OperationalError as e: return str(e)",
            json!("no such function: load_extension"),
        ),
    ])
    .await;
}

/// A seed in the snapshot would give all tasks the same numbers.
#[tokio::test]
async fn random_numbers_of_queries_differ_between_tasks() {
    let code = "import sqlite3\nreturn sqlite3.connect(':memory:').execute('select hex(randomblob(16))').fetchone()[0]";
    assert_ne!(value(code).await, value(code).await);
}

#[tokio::test]
async fn a_database_within_the_memory_limit_obeyed() {
    let code = "import sqlite3\ncon = sqlite3.connect('a.db')\ncon.execute('create table t (x)')\n\
        for n in range(40): con.execute('insert into t values (zeroblob(1000000))')\n\
        con.commit()\nreturn con.execute('select sum(length(x)) from t').fetchone()[0]";
    assert_eq!(value(code).await, json!(40_000_000));
}

/// Each of these fills the memory, in memory or in files. What was there before stays whole.
#[tokio::test]
async fn a_database_beyond_the_memory_limit_violated() {
    for (name, mode) in [(":memory:", "delete"), ("a.db", "delete"), ("a.db", "wal")] {
        let code = format!(
            "import sqlite3\ncon = sqlite3.connect('{name}')\ncon.execute('pragma journal_mode={mode}')\n\
             con.execute('create table t (x)')\ncon.execute('insert into t values (1)')\ncon.commit()\n\
             try:\n    while True: con.execute('insert into t values (zeroblob(3000000))')\n\
             except (MemoryError, sqlite3.OperationalError) as error: kind = type(error).__name__\n\
             con.rollback()\n\
             return [kind, con.execute('pragma integrity_check').fetchone()[0], con.execute('select * from t').fetchall()]"
        );
        let found = value(&code).await;
        assert!(found[0] == "MemoryError" || found[0] == "OperationalError", "{name}: {found}");
        assert_eq!((&found[1], &found[2]), (&json!("ok"), &json!([[1]])), "{name} {mode}");
    }
    let text =
        run("import sqlite3\nsqlite3.connect(':memory:').execute('select zeroblob(900000000)')")
            .await;
    assert!(!text.exception().message.is_empty());
}

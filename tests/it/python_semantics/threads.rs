//! Threads without parallelism: a started thread runs when another one waits.

use serde_json::json;

use super::{all_return, run};

/// Checks that the message of the error of each program contains a text.
async fn all_fail_with(cases: &[(&str, &str)]) {
    for (code, text) in cases {
        let ran = run(code).await;
        assert!(ran.exception().message.contains(text), "{code}: {}", ran.exception().message);
    }
}

#[tokio::test]
async fn threads_run_when_they_are_joined() {
    all_return(&[
        (
            "import threading\nr = []\nts = [threading.Thread(target=r.append, args=(i,)) for i in range(4)]\nfor t in ts: t.start()\nbefore = [t.is_alive() for t in ts], len(r)\nfor t in ts: t.join()\nreturn [before, r, ts[0].is_alive()]",
            json!([[[true, true, true, true], 0], [0, 1, 2, 3], false]),
        ),
        (
            "import threading\nr = []\nthreading.Thread(target=r.append, args=('at the end',)).start()\nreturn r",
            json!(["at the end"]),
        ),
        (
            "import threading\nr = []\ndef f(): r.append([threading.current_thread().name, threading.current_thread() is t, threading.get_ident() == t.ident, [x.name for x in threading.enumerate()]])\nt = threading.Thread(target=f, name='one')\nt.start()\nt.join()\nreturn r[0] + [threading.active_count(), t.daemon]",
            json!(["one", true, true, ["MainThread", "one"], 1, false]),
        ),
        (
            "import threading, time\nr = []\nthreading.Thread(target=r.append, args=(1,), daemon=True).start()\ntime.sleep(0.001)\nreturn r + [threading.active_count()]",
            json!([1, 1]),
        ),
        (
            "import threading\nclass T(threading.Thread):\n    value = 0\n    def run(self): self.value = 9\nt = T()\nt.start()\nt.join(timeout=1)\nreturn [t.value, t.is_alive()]",
            json!([9, false]),
        ),
        (
            "import _thread, time\nr = []\n_thread.start_new_thread(r.append, (1,))\ntime.sleep(0)\nreturn r",
            json!([1]),
        ),
    ])
    .await;
    all_fail_with(&[
        ("import threading\nt = threading.Thread()\nt.start()\nt.join()\nt.start()", "once"),
        ("import threading\nthreading.Thread().join()", "before it is started"),
        ("import threading\nthreading.current_thread().join()", "current thread"),
    ])
    .await;
}

#[tokio::test]
async fn locks_events_and_conditions_behave() {
    all_return(&[
        (
            "import threading\nn = 0\nlock = threading.Lock()\ndef f():\n    global n\n    for _ in range(50):\n        with lock: n += 1\nts = [threading.Thread(target=f) for _ in range(150)]\nfor t in ts: t.start()\nfor t in ts: t.join()\nreturn n",
            json!(7500),
        ),
        (
            "import threading\nc = threading.Condition()\nr = []\ndef wait():\n    with c:\n        c.wait_for(lambda: r)\n        r.append('waited')\ndef tell():\n    with c:\n        r.append('told')\n        c.notify_all()\nts = [threading.Thread(target=f) for f in (wait, tell)]\nfor t in ts: t.start()\nfor t in ts: t.join()\nreturn r",
            json!(["told", "waited"]),
        ),
        (
            "import threading\nb = threading.Barrier(40)\nr = []\nts = [threading.Thread(target=lambda: r.append(b.wait())) for _ in range(40)]\nfor t in ts: t.start()\nfor t in ts: t.join()\nreturn sorted(r) == list(range(40))",
            json!(true),
        ),
        (
            "import threading\ne, s = threading.Event(), threading.Semaphore(1)\nr = []\ndef f():\n    with s: r.append(e.wait(1))\ndef g(): e.set()\nfor x in (f, g): threading.Thread(target=x).start()\ne.wait()\ns.acquire()\nreturn r",
            json!([true]),
        ),
        (
            "import threading\nlock = threading.RLock()\nr = []\nwith lock, lock:\n    t = threading.Thread(target=lambda: r.append(lock.acquire(blocking=False)))\n    t.start()\n    t.join()\nreturn r",
            json!([false]),
        ),
        (
            "import threading, time\nlock = threading.Lock()\nlock.acquire()\nt = time.monotonic()\nreturn [lock.acquire(timeout=0.02), time.monotonic() - t >= 0.02, threading.Event().wait(0.001)]",
            json!([false, true, false]),
        ),
        (
            "import threading\nl = threading.local()\nl.x = 1\nr = []\ndef f():\n    r.append(hasattr(l, 'x'))\n    l.x = 2\nt = threading.Thread(target=f)\nt.start()\nt.join()\nreturn r + [l.x]",
            json!([false, 1]),
        ),
        (
            "import contextvars, decimal, threading\nv = contextvars.ContextVar('v', default='own')\nv.set('main')\ndecimal.getcontext().prec = 5\nr = []\nt = threading.Thread(target=lambda: r.extend([v.get(), decimal.getcontext().prec]))\nt.start()\nt.join()\nreturn r",
            json!(["own", 28]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn producers_and_consumers_meet_in_any_order() {
    let prelude = "import threading, queue\nr = []\ndef consume():\n    while (x := q.get()) is not None: r.append(x)\n    r.append('end')\ndef produce():\n    for i in range(3): q.put(i)\n    q.put(None)\ndef both(*fs):\n    ts = [threading.Thread(target=f) for f in fs]\n    for t in ts: t.start()\n    for t in ts: t.join()\n    return r\n";
    for made in ["queue.Queue()", "queue.Queue(1)", "queue.SimpleQueue()"] {
        for order in ["consume, produce", "produce, consume"] {
            let code = format!("{prelude}q = {made}\nreturn both({order})");
            assert_eq!(run(&code).await.value(), json!([0, 1, 2, "end"]), "{code}");
        }
    }
    all_return(&[(
        "import threading, queue\nq = queue.Queue()\nr = []\ndef work():\n    while True:\n        r.append(q.get() * 2)\n        q.task_done()\nfor _ in range(2): threading.Thread(target=work, daemon=True).start()\nfor i in range(3): q.put(i)\nq.join()\nreturn sorted(r)",
        json!([0, 2, 4]),
    )])
    .await;
}

#[tokio::test]
async fn a_wait_without_an_end_explains_itself() {
    all_fail_with(&[
        ("import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()", "deadlock: the main thread waits"),
        ("import queue\nqueue.Queue().get()", "deadlock: the main thread waits"),
        (
            "import threading\ne = threading.Event()\ndef f():\n    e.wait()\nt = threading.Thread(target=f, name='sleeper')\nt.start()\nt.join()",
            "so does thread 'sleeper' in line 4",
        ),
        (
            "import threading\ne = threading.Event()\nthreading.Thread(target=lambda: e.wait(), name='left').start()\nreturn 1",
            "deadlock: thread 'left' waits in line 3",
        ),
        (
            "import threading\nfrom concurrent.futures import ThreadPoolExecutor as P\np = P(1)\ndef a(): return p.submit(len, 'abc').result()\np.submit(a).result()",
            "deadlock: ",
        ),
    ])
    .await;
    let hinted = run("import threading\nthreading.Semaphore(0).acquire()").await;
    assert!(hinted.exception().message.contains("Hint: Threads run one after another"));
}

#[tokio::test]
async fn errors_of_threads_go_to_standard_error() {
    all_return(&[
        (
            "import threading, io, sys\nsys.stderr = io.StringIO()\nt = threading.Thread(target=lambda: 1 / 0, name='bad')\nt.start()\nt.join()\ns = sys.stderr.getvalue()\nreturn ['Exception in thread bad' in s, 'ZeroDivisionError' in s, t.is_alive()]",
            json!([true, true, false]),
        ),
        (
            "import threading\nr = []\nthreading.excepthook = lambda a: r.append([a.exc_type.__name__, a.thread.name])\nt = threading.Thread(target=lambda: 1 / 0, name='bad')\nt.start()\nt.join()\nreturn r",
            json!([["ZeroDivisionError", "bad"]]),
        ),
        ("import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()\nreturn 1", json!(1)),
    ])
    .await;
}

#[tokio::test]
async fn timers_begin_when_their_time_has_come() {
    all_return(&[(
        "import threading, time\nr = []\nbegin = time.monotonic()\nsoon = threading.Timer(0.05, r.append, ['soon'])\nnever = threading.Timer(60, r.append, ['never'])\nfor t in (never, soon): t.start()\ntime.sleep(0.01)\nr.append('main')\nnever.cancel()\nfor t in (never, soon): t.join()\nreturn r + [0.05 <= time.monotonic() - begin < 30]",
        json!(["main", "soon", true]),
    )])
    .await;
}

#[tokio::test]
async fn pools_run_one_call_after_another() {
    let prelude = "import threading\nfrom concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor, as_completed, wait, FIRST_COMPLETED\nlog = []\ndef f(x):\n    log.append(x)\n    return x * x\n";
    for (code, expected) in [
        (
            "with ThreadPoolExecutor(3) as p: return list(p.map(f, range(5)))",
            json!([0, 1, 4, 9, 16]),
        ),
        (
            "with ProcessPoolExecutor() as p: return list(p.map(f, [1, 2], chunksize=2))",
            json!([1, 4]),
        ),
        (
            "with ThreadPoolExecutor(2) as p:\n    for x in as_completed([p.submit(f, i) for i in range(3)]): log.append('=' + str(x.result()))\nreturn log",
            json!([0, "=0", 1, "=1", 2, "=4"]),
        ),
        (
            "p = ThreadPoolExecutor(1)\nfs = [p.submit(f, i) for i in range(3)]\ndone, left = wait(fs, return_when=FIRST_COMPLETED)\np.shutdown(cancel_futures=True)\nreturn [len(done), [x.cancelled() for x in fs]]",
            json!([1, [false, true, true]]),
        ),
        (
            "with ThreadPoolExecutor(2, 'w') as p: return list(p.map(lambda _: threading.current_thread().name, range(3)))",
            json!(["w_0", "w_1", "w_0"]),
        ),
        (
            "own = threading.local()\ndef begin(n): own.n = n\nwith ThreadPoolExecutor(2, initializer=begin, initargs=(3,)) as p: return list(p.map(lambda _: own.n, range(3)))",
            json!([3, 3, 3]),
        ),
        (
            "with ThreadPoolExecutor() as p: x = p.submit(lambda: 1 / 0)\nreturn str(x.exception())",
            json!("division by zero"),
        ),
        (
            "p = ThreadPoolExecutor(2)\nreturn p.submit(lambda: p.submit(f, 3).result() + 1).result()",
            json!(10),
        ),
        ("ThreadPoolExecutor().submit(f, 7)\nreturn log", json!([7])),
    ] {
        let code = format!("{prelude}{code}");
        assert_eq!(run(&code).await.value(), expected, "{code}");
    }
}

#[tokio::test]
async fn processes_are_threads() {
    let prelude = "import multiprocessing as mp, multiprocessing.dummy\nfrom multiprocessing.pool import ThreadPool\ndef f(x): return x + 1\n";
    for (code, expected) in [
        (
            "with mp.Pool(2) as p: return [p.map(f, [1, 2]), p.starmap(pow, [(2, 3)]), list(p.imap(f, [5])), p.apply(f, (7,))]",
            json!([[2, 3], [8], [6], 8]),
        ),
        (
            "with ThreadPool(2) as p: return p.map_async(f, range(3)).get(timeout=5)",
            json!([1, 2, 3]),
        ),
        (
            "with mp.dummy.Pool() as p: return sorted(p.imap_unordered(f, range(3)))",
            json!([1, 2, 3]),
        ),
        (
            "r = []\np = mp.Pool()\np.apply_async(f, (1,), callback=r.append)\np.close()\np.join()\nreturn r",
            json!([2]),
        ),
        (
            "q = mp.Queue()\np = mp.Process(target=q.put, args=(7,))\np.start()\np.join()\nreturn [q.get(), p.exitcode, mp.cpu_count()]",
            json!([7, 0, 1]),
        ),
        (
            "a, b = mp.Pipe()\na.send('x')\nv = mp.Value('i', 3)\nwith v.get_lock(): v.value += 1\nreturn [b.recv(), v.value, list(mp.Array('i', 2)), dict(mp.Manager().dict(a=1))]",
            json!(["x", 4, [0, 0], {"a": 1}]),
        ),
    ] {
        let code = format!("{prelude}{code}");
        assert_eq!(run(&code).await.value(), expected, "{code}");
    }
}

#[tokio::test]
async fn threads_and_event_loops_meet() {
    all_return(&[
        (
            "import asyncio, threading\nr = []\nasync def g(): return 5\nasync def m():\n    t = threading.Thread(target=lambda: r.append(asyncio.run(g())))\n    t.start()\n    t.join()\n    return r + [await asyncio.to_thread(len, 'ab')]\nreturn asyncio.run(m())",
            json!([5, 2]),
        ),
        (
            "import asyncio, threading\nasync def m():\n    loop = asyncio.get_running_loop()\n    done = loop.create_future()\n    threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set_result, 3)).start()\n    return await done\nreturn asyncio.run(m())",
            json!(3),
        ),
    ])
    .await;
}

//! asyncio without file descriptors.

use serde_json::json;

use super::{all_fail, run, run_job};
use crate::support::job;

#[tokio::test]
async fn tasks_timers_queues_and_timeouts_work() {
    let prelude =
        "import asyncio\nasync def w(i):\n    await asyncio.sleep(0.002 * (3 - i))\n    return i\n";
    let cases = [
        ("return asyncio.run(w(1))", json!(1)),
        (
            "async def m(): return await asyncio.gather(*(w(i) for i in range(3)))\nreturn asyncio.run(m())",
            json!([0, 1, 2]),
        ),
        (
            "async def m():\n    async with asyncio.TaskGroup() as g: t = g.create_task(w(1))\n    return t.result()\nreturn asyncio.run(m())",
            json!(1),
        ),
        (
            "async def m():\n    try:\n        async with asyncio.timeout(0.01): await asyncio.sleep(10)\n    except TimeoutError: return 'late'\nreturn asyncio.run(m())",
            json!("late"),
        ),
        (
            "async def m():\n    try: await asyncio.wait_for(asyncio.sleep(10), 0.01)\n    except TimeoutError: return 'late'\nreturn asyncio.run(m())",
            json!("late"),
        ),
        (
            "async def m():\n    q = asyncio.Queue()\n    async def p():\n        for i in range(3): await q.put(i)\n    t = asyncio.create_task(p())\n    r = [await q.get() for _ in range(3)]\n    await t\n    return r\nreturn asyncio.run(m())",
            json!([0, 1, 2]),
        ),
        (
            "async def m(): return await asyncio.to_thread(sum, [1, 2])\nreturn asyncio.run(m())",
            json!(3),
        ),
        (
            "async def m(): return await asyncio.get_running_loop().run_in_executor(None, len, 'abc')\nreturn asyncio.run(m())",
            json!(3),
        ),
        (
            "async def m():\n    r = []\n    for t in asyncio.as_completed([w(0), w(2)]): r.append(await t)\n    return r\nreturn asyncio.run(m())",
            json!([2, 0]),
        ),
        (
            "async def m():\n    e = asyncio.Event()\n    asyncio.get_running_loop().call_later(0.01, e.set)\n    await e.wait()\n    return e.is_set()\nreturn asyncio.run(m())",
            json!(true),
        ),
        (
            "loop = asyncio.new_event_loop()\ntry: return loop.run_until_complete(w(2))\nfinally: loop.close()",
            json!(2),
        ),
        ("return asyncio.get_event_loop().run_until_complete(w(2))", json!(2)),
        ("with asyncio.Runner() as r: return [r.run(w(1)), r.run(w(2))]", json!([1, 2])),
        ("return asyncio.run(w(1), loop_factory=asyncio.EventLoop)", json!(1)),
        ("return asyncio.run(w(1), debug=True)", json!(1)),
        (
            "async def g():\n    for i in range(3): yield await w(i)\nasync def m(): return [x async for x in g()]\nreturn asyncio.run(m())",
            json!([0, 1, 2]),
        ),
        (
            "async def m():\n    async with asyncio.Semaphore(1), asyncio.Lock(): return await asyncio.shield(w(1))\nreturn asyncio.run(m())",
            json!(1),
        ),
        (
            "async def m():\n    t = asyncio.create_task(w(0))\n    await asyncio.sleep(0)\n    t.cancel()\n    try: await t\n    except asyncio.CancelledError: return 'cancelled'\nreturn asyncio.run(m())",
            json!("cancelled"),
        ),
    ];
    // On the virtual clock a busy machine cannot change the order of timers.
    for (code, expected) in cases {
        let code = format!("{prelude}{code}");
        assert_eq!(run_job(job(&code).seed(0)).await.value(), expected, "{code}");
    }
}

#[tokio::test]
async fn waiting_for_ever_is_an_error() {
    let deadlock = "deadlock: the event loop waits for something that can never happen";
    all_fail(&[
        ("import asyncio\nasync def m(): await asyncio.Queue().get()\nasyncio.run(m())", deadlock),
        ("import asyncio\nasync def m(): await asyncio.Event().wait()\nasyncio.run(m())", deadlock),
        ("import asyncio\nasyncio.new_event_loop().run_forever()", deadlock),
    ])
    .await;
}

#[tokio::test]
async fn failures_come_out() {
    let ran =
        run("import asyncio\nasync def f():\n    raise ValueError('inside')\nasyncio.run(f())")
            .await;
    assert_eq!(
        (ran.exception().message.as_str(), ran.exception().line_number),
        ("inside", Some(3))
    );
    let group = "import asyncio\nasync def w(): raise ValueError('w')\nasync def m():\n    async with asyncio.TaskGroup() as g: g.create_task(w())\nasyncio.run(m())";
    let ran = run(group).await;
    assert!(ran.description().contains("ValueError: w"), "{}", ran.description());
    let to_thread =
        "import asyncio\nasync def m(): await asyncio.to_thread(lambda: 1 / 0)\nasyncio.run(m())";
    all_fail(&[(to_thread, "division by zero")]).await;
    let connect =
        run("import asyncio\nasyncio.run(asyncio.open_connection('example.com', 80))").await;
    assert!(!connect.exception().message.is_empty());
}

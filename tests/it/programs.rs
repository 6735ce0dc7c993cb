//! Plain programs: code with one input, without n8n's settings.

use std::sync::{Arc, Mutex};

use serde_json::json;
use serpentarium::sandbox::{Failure, HostFunctions, Limits, NoHost, Program};

use crate::support::{raised, returned, sandbox};

#[tokio::test]
async fn a_program_has_its_input() {
    let program = Program::new("return {'sum': sum(input['n'])}");
    let program = program.input(json!({ "n": [1, 2.5] })).unwrap();
    assert_eq!(returned(&sandbox().run(program, NoHost).await), json!({ "sum": 3.5 }));
    let without = Program::new("return callable(input)");
    assert_eq!(returned(&sandbox().run(without, NoHost).await), true);
}

#[tokio::test]
async fn a_program_has_no_names_of_n8n() {
    for name in ["_items", "_item", "_json", "_input", "_helpers", "_workflow"] {
        let outcome = sandbox().run(Program::new(format!("return {name}")), NoHost).await;
        assert_eq!(
            raised(&outcome).message,
            format!(
                "name '{name}' is not defined\nHint: A plain program has no names of n8n: its value \
                 is the name input."
            )
        );
    }
}

#[tokio::test]
async fn a_program_prints_text_and_awaits_functions() {
    let printed = Arc::new(Mutex::new(String::new()));
    let copy = printed.clone();
    let host = HostFunctions::new()
        .function("double", async |(n,): (i64,)| n.checked_mul(2).ok_or("too large"))
        .on_print(move |text| copy.lock().unwrap().push_str(text));
    let code = "
import _host
print('één', [1])
print('b', end='')
try: _host.call('double', f'[{2**62}]')
except _host.CallError as error: print(error)
return _host.call('double', '[21]'), _host.call('unknown', '[]')
";
    let outcome = sandbox().run(Program::new(code), host).await;
    assert_eq!(raised(&outcome).message, "Method not allowed");
    assert_eq!(*printed.lock().unwrap(), "één [1]\nbtoo large\n");
}

#[tokio::test]
async fn stderr_reaches_the_host_in_order_with_prints() {
    let shown = Arc::new(Mutex::new(String::new()));
    let (prints, errors) = (shown.clone(), shown.clone());
    let host = HostFunctions::new()
        .on_print(move |text| prints.lock().unwrap().push_str(text))
        .on_stderr(move |bytes| {
            errors.lock().unwrap().push_str(&format!("<{}>", String::from_utf8_lossy(bytes)));
        });
    let code = "
import os, sys
sys.stderr.write('a')
sys.stderr.write('b\\nc')
print(1)
os.write(2, b'\\xff\\n\\n')
print(2)
sys.stderr.write('no end')
";
    let outcome = sandbox().run(Program::new(code), host).await;
    assert_eq!(*shown.lock().unwrap(), "<ab\n><c>1\n<\u{fffd}\n\n>2\n<no end>");
    assert_eq!(outcome.stderr, "ab\nc\u{fffd}\n\nno end");
}

#[tokio::test]
async fn the_value_of_a_last_expression_is_returned_on_request() {
    let program = Program::new("x = input * 2\nx + 1").input(20).unwrap();
    let plain = sandbox().run(program.clone(), NoHost).await;
    assert_eq!(returned(&plain), json!(null));
    let outcome = sandbox().run(program.return_last_expression(), NoHost).await;
    assert_eq!(returned(&outcome), 41);
    let own = Program::new("if input: return 1\n2").input(false).unwrap();
    let outcome = sandbox().run(own.return_last_expression(), NoHost).await;
    assert_eq!(returned(&outcome), json!(null));
}

#[tokio::test]
async fn a_seeded_program_is_deterministic() {
    let program = Program::new("import random, time\nreturn random.random(), time.time()").seed(7);
    let [first, second] =
        [sandbox().run(program.clone(), NoHost).await, sandbox().run(program, NoHost).await];
    assert_eq!(returned(&first), returned(&second));
    assert_eq!(first.usage.fuel, second.usage.fuel);
}

#[tokio::test]
async fn a_program_has_limits_and_no_effects() {
    let endless = Program::new("while True: pass").limits(Limits::default().fuel(20_000_000));
    let outcome = sandbox().run(endless, NoHost).await;
    assert!(matches!(outcome.result, Err(Failure::Exceeded(_))), "{outcome:?}");
    let outcome = sandbox().run(Program::new("return 1"), NoHost).await;
    assert!(outcome.result.unwrap().effects.is_none());
}

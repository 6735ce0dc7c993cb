//! Exports of a profile for other programs. Each adds up to the total.

use std::{fs, process::Command};

use serde_json::Value;

const PROGRAM: &str = "\
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)

def squares(n):
    for i in range(n):
        yield i * i

total = sum(squares(50)) + fib(10)
return sorted([total], key=lambda n: -n)
";

fn run(arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_serpentarium")).args(arguments).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn exports_add_up_to_the_total_of_bench() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let path = file("p.py");
    fs::write(&path, PROGRAM).unwrap();
    let (svg, json, pb) = (file("out.svg"), file("out.json"), file("out.pb"));
    let shown = run(&[
        "profile",
        "--json",
        &path,
        "--flamegraph",
        &svg,
        "--speedscope",
        &json,
        "--pprof",
        &pb,
    ]);
    let total = serde_json::from_str::<Value>(&shown).unwrap()["fuel"].as_u64().unwrap();
    let bench: Value = serde_json::from_str(&run(&["bench", "--json", &path])).unwrap();
    assert_eq!(bench["benchmarks"][0]["fuel"], total);
    let svg = fs::read_to_string(svg).unwrap();
    let widths = svg.split("<title>").skip(1).filter_map(|title| title.split_once(" units, ")).map(
        |(name, _)| {
            let (name, units) = name.rsplit_once(" (").unwrap();
            (name, units.replace(',', "").parse::<u64>().unwrap())
        },
    );
    let widths: Vec<_> = widths.collect();
    let units =
        |name: &str| widths.iter().filter(|one| one.0 == name).map(|one| one.1).sum::<u64>();
    assert_eq!(units("all"), total, "{widths:?}");
    assert_eq!(
        units("&lt;module&gt;") + units("(start, input, compiling, result)"),
        total,
        "{widths:?}"
    );
    assert!(svg.contains("<svg") && svg.contains("fib (") && svg.contains("units of fuel"));
    let speedscope: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let profile = &speedscope["profiles"][0];
    assert_eq!(
        profile["samples"].as_array().unwrap().len(),
        profile["weights"].as_array().unwrap().len()
    );
    let sum: u64 =
        profile["weights"].as_array().unwrap().iter().map(|weight| weight.as_u64().unwrap()).sum();
    assert_eq!((&profile["endValue"], sum), (&sum.into(), total));
    let frames = speedscope["shared"]["frames"].as_array().unwrap().len() as u64;
    let samples =
        profile["samples"].as_array().unwrap().iter().flat_map(|sample| sample.as_array().unwrap());
    assert!(samples.into_iter().all(|frame| frame.as_u64().unwrap() < frames));
    let pb = fs::read(pb).unwrap();
    for text in ["fuel", "units", "fib", "p.py"] {
        assert!(pb.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    // Field 2 of `Profile` is `sample`; field 2 of `Sample` is `value` (pprof's profile.proto).
    let values = fields(&pb).into_iter().filter(|field| field.0 == 2).flat_map(|(_, sample)| {
        fields(sample)
            .into_iter()
            .filter(|field| field.0 == 2)
            .map(|(_, mut value)| varint(&mut value))
            .collect::<Vec<_>>()
    });
    assert_eq!(values.sum::<u64>(), total);
    // Field 3 of `Function` is `system_name`. If it equals the name, pprof demangles the name as
    // C++ and drops `<module>`.
    let functions = fields(&pb).into_iter().filter(|field| field.0 == 5);
    for (_, function) in functions {
        assert!(numbers(function).iter().all(|field| field.0 != 3), "{function:?}");
    }
}

/// Reads a varint of the protocol buffers encoding.
fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Returns the fields of a message, with a number or bytes each.
#[expect(clippy::type_complexity, reason = "two lists of the same form")]
fn parse(mut message: &[u8]) -> (Vec<(u64, u64)>, Vec<(u64, &[u8])>) {
    let (mut numbers, mut fields) = (Vec::new(), Vec::new());
    while !message.is_empty() {
        let (key, value) = (varint(&mut message), varint(&mut message));
        if key & 7 == 2 {
            let (field, rest) = message.split_at(value as usize);
            fields.push((key >> 3, field));
            message = rest;
        } else {
            numbers.push((key >> 3, value));
        }
    }
    (numbers, fields)
}

fn numbers(message: &[u8]) -> Vec<(u64, u64)> {
    parse(message).0
}

fn fields(message: &[u8]) -> Vec<(u64, &[u8])> {
    parse(message).1
}

//! Local time follows the zone that the host names; without one it is UTC.

use serde_json::{Value, json};
use serpentarium::sandbox::Program;

use super::{all_return, run_job, run_with};

/// Runs code in a zone. Returns its result.
async fn value_in(zone: &str, code: &str) -> Value {
    run_with(code, json!({ "serpentarium": { "localTimezone": zone } })).await.value()
}

/// Compares local time with `zoneinfo`, which has its own reader, around every change of offset.
const COMPARE: &str = "
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
zone, wrong = ZoneInfo(_query), []
days = [datetime(1905, 1, 1, tzinfo=UTC) + timedelta(days=11 * i) for i in range(5000)]
days += [datetime(2200, 1, 1, tzinfo=UTC) + timedelta(days=5 * i) for i in range(80)]
moments = []
for a, b in zip(days, days[1:]):
    moments.append(a)
    if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset():
        while b - a > timedelta(seconds=1):
            middle = a + (b - a) // 2
            middle = middle.replace(microsecond=0)
            if middle in (a, b): break
            if middle.astimezone(zone).utcoffset() == a.astimezone(zone).utcoffset(): a = middle
            else: b = middle
        moments += [a, b, a - timedelta(hours=1), b + timedelta(minutes=30)]
for moment in moments:
    seconds, expected = int(moment.timestamp()), moment.astimezone(zone)
    local = time.localtime(seconds)
    found = (local[:6], local.tm_gmtoff, local.tm_zone, datetime.fromtimestamp(seconds).astimezone(UTC) if expected.fold == 0 else moment)
    want = (expected.timetuple()[:6], int(expected.utcoffset().total_seconds()), expected.tzname(), moment)
    if found != want: wrong.append(str((found, want)))
    clear = (moment - timedelta(hours=3)).astimezone(zone).utcoffset() == (moment + timedelta(hours=3)).astimezone(zone).utcoffset()
    if clear and time.mktime(expected.timetuple()) != seconds: wrong.append(f'mktime {moment}')
return [len(moments) > 5000, wrong[:3]]
";

#[tokio::test]
async fn local_time_equals_that_of_zoneinfo() {
    for zone in [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Europe/Dublin",
    ] {
        let settings = json!({ "query": zone, "serpentarium": { "localTimezone": zone } });
        assert_eq!(run_with(COMPARE, settings).await.value(), json!([true, []]), "{zone}");
    }
}

#[tokio::test]
async fn local_time_is_utc_without_a_zone() {
    all_return(&[
        ("import time\nreturn [time.tzname, time.timezone, time.altzone, time.daylight, time.strftime('%Z %z')]", json!([["UTC", "UTC"], 0, 0, 0, "UTC +0000"])),
        ("from datetime import UTC, datetime, timedelta\nreturn abs(datetime.now() - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=9)", json!(true)),
    ])
    .await;
}

#[tokio::test]
async fn the_members_of_time_follow_the_zone() {
    for (zone, code, expected) in [
        (
            "Europe/Berlin",
            "return [time.tzname, time.timezone, time.altzone, time.daylight]",
            json!([["CET", "CEST"], -3600, -7200, 1]),
        ),
        (
            "Australia/Sydney",
            "return [time.tzname, time.timezone, time.altzone]",
            json!([["AEST", "AEDT"], -36000, -39600]),
        ),
        ("Asia/Kolkata", "return [time.tzname, time.daylight]", json!([["IST", "IST"], 0])),
        ("UTC", "return [time.tzname, time.timezone]", json!([["UTC", "UTC"], 0])),
        (
            "Europe/Berlin",
            "from time import tzname, timezone\nreturn [tzname[0], timezone]",
            json!(["CET", -3600]),
        ),
        (
            "Europe/Berlin",
            "return [time.localtime(0).tm_hour, time.strftime('%H %Z', time.localtime(86400 * 200)), time.ctime(0)]",
            json!([1, "01 CET", "Thu Jan  1 01:00:00 1970"]),
        ),
        (
            "Europe/Berlin",
            "return datetime(2024, 7, 1, 12).astimezone().isoformat()",
            json!("2024-07-01T12:00:00+02:00"),
        ),
        (
            "Europe/Berlin",
            "return [datetime(2024, 1, 1).timestamp(), datetime.fromtimestamp(0).hour, time.mktime((2024, 7, 1, 2, 0, 0, 0, 0, -1))]",
            json!([1_704_063_600.0, 1, 1_719_792_000.0]),
        ),
        (
            "Europe/Berlin",
            "return datetime.strptime('2024-07-01 CEST', '%Y-%m-%d %Z').isoformat()",
            json!("2024-07-01T00:00:00"),
        ),
        (
            "Europe/Berlin",
            "return [hasattr(time, 'nothing'), time.gmtime(0).tm_hour]",
            json!([false, 0]),
        ),
        // In a gap and in a fold, the offset before the transition applies.
        (
            "Europe/Berlin",
            "return [time.ctime(time.mktime((2024, 3, 31, 2, 30, 0, 0, 0, -1))), time.localtime(time.mktime((2024, 10, 27, 2, 30, 0, 0, 0, -1))).tm_isdst]",
            json!(["Sun Mar 31 03:30:00 2024", 1]),
        ),
        (
            "Europe/Berlin",
            "return [time.mktime((2024, 7, 1, 2, 0, 0, 0, 0, 0)) - time.mktime((2024, 7, 1, 2, 0, 0, 0, 0, 1))]",
            json!([3600.0]),
        ),
        (
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "return [time.tzname, time.localtime(1720000000).tm_gmtoff, time.localtime(1700000000).tm_gmtoff]",
            json!([["CET", "CEST"], 7200, 3600]),
        ),
        (
            "EST5EDT",
            "return [time.localtime(1720000000).tm_zone, time.localtime(1700000000).tm_gmtoff]",
            json!(["EDT", -18000]),
        ),
        (
            "<+0545>-5:45",
            "return [time.localtime(0).tm_zone, time.localtime(0).tm_min]",
            json!(["+0545", 45]),
        ),
        (":/usr/share/zoneinfo/Asia/Tokyo", "return time.localtime(0).tm_hour", json!(9)),
    ] {
        let code = format!("import time\nfrom datetime import datetime\n{code}");
        assert_eq!(value_in(zone, &code).await, expected, "{zone}: {code}");
    }
}

#[tokio::test]
async fn an_unknown_zone_is_utc_with_a_warning() {
    let code = "import time, warnings\nwith warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    hour = time.localtime(0).tm_hour\nreturn [hour, str(w[0].message)]";
    let expected = json!([0, "unknown time zone 'Mars/Crater': local time is UTC"]);
    assert_eq!(value_in("Mars/Crater", code).await, expected);
}

#[tokio::test]
async fn code_can_change_its_zone() {
    let set = "import os, time\nos.environ['TZ'] = 'Asia/Tokyo'\ntime.tzset()\n";
    all_return(&[
        (&format!("{set}return [time.localtime(0).tm_hour, time.tzname[0]]"), json!([9, "JST"])),
        (&format!("{set}del os.environ['TZ']\ntime.tzset()\nreturn [time.localtime(0).tm_hour, time.tzname[0]]"), json!([0, "UTC"])),
    ])
    .await;
    let host = json!({ "serpentarium": { "env": { "TZ": "Asia/Tokyo" } } });
    let code = "import time\nreturn time.localtime(0).tm_hour";
    assert_eq!(run_with(code, host).await.value(), 9);
}

#[tokio::test]
async fn a_program_has_the_time_zone_of_its_builder() {
    let code = "import time\nreturn time.localtime(0).tm_hour";
    assert_eq!(run_job(Program::new(code).timezone("Asia/Tokyo").into()).await.value(), 9);
}

#[tokio::test]
async fn a_zone_costs_only_those_who_look_at_local_time() {
    let code = "return 1";
    let fuel = async |more: Value| run_with(code, more).await.outcome.usage.fuel;
    let (without, with) = (
        fuel(json!({ "serpentarium": { "callsInFlight": 1000 } })).await,
        fuel(json!({ "serpentarium": { "callsInFlight": 1000, "localTimezone": "Asia/Tokyo" } }))
            .await,
    );
    assert!(with - without < 10_000, "{with} {without}");
    let code = "import time\nreturn time.localtime(0).tm_hour";
    let fuel = async |zone: &str| {
        run_with(code, json!({ "serpentarium": { "localTimezone": zone } }))
            .await
            .outcome
            .usage
            .fuel
    };
    assert_eq!(fuel("Asia/Tokyo").await, fuel("Asia/Tokyo").await);
}

//! Counts, lengths and exponents of 64 bits: as on the machines for which users write code.

use serde_json::json;

use super::{all_fail, all_return};

#[tokio::test]
async fn sys_maxsize_is_that_of_64_bits() {
    all_return(&[
        ("import sys\nreturn [sys.maxsize == 2**63 - 1, sys.maxsize > 2**32]", json!([true, true])),
        ("import sys\nbest = sys.maxsize\nfor t in [1741075687001, 1741075687000]: best = min(best, t)\nreturn best", json!(1_741_075_687_000_i64)),
        ("import sys\nreturn max(-sys.maxsize - 1, -1741075687000)", json!(-1_741_075_687_000_i64)),
        ("import sys, itertools\nreturn list(itertools.islice('abc', sys.maxsize))", json!(["a", "b", "c"])),
        ("import sys, csv, io\ncsv.field_size_limit(sys.maxsize)\nreturn list(csv.reader(io.StringIO('a,' + 'b' * 200_000)))[0][0]", json!("a")),
        ("import sys\nreturn ['a,b'.split(',', sys.maxsize), 'aa'.replace('a', 'b', sys.maxsize), 'abc'[:sys.maxsize], 'abc'.find('c', 0, sys.maxsize)]", json!([["a", "b"], "bb", "abc", 2])),
        ("import sys, collections\nreturn list(collections.deque([1, 2], maxlen=sys.maxsize))", json!([1, 2])),
        ("import sys, heapq\nreturn heapq.nsmallest(sys.maxsize, [2, 1])", json!([1, 2])),
        ("import sys, io\nreturn [io.StringIO('a\\nb').read(sys.maxsize), io.BytesIO(b'ab').read(sys.maxsize).decode(), io.StringIO('a').readline(sys.maxsize)]", json!(["a\nb", "ab", "a"])),
        ("import sys, zlib\nreturn zlib.decompressobj().decompress(zlib.compress(b'ab'), sys.maxsize).decode()", json!("ab")),
        ("import sys\nreturn [slice(None).indices(sys.maxsize), sys.maxsize in range(2**63), range(sys.maxsize)[-1] == sys.maxsize - 1]", json!([[0, i64::MAX, 1], true, true])),
        ("import sys, textwrap, pprint\nreturn [textwrap.fill('a b', sys.maxsize), pprint.pformat([1], width=sys.maxsize)]", json!(["a b", "[1]"])),
        ("import sys, functools\n@functools.lru_cache(maxsize=sys.maxsize)\ndef f(x): return x\nreturn [f(1), f(1), f.cache_info().hits]", json!([1, 1, 1])),
        ("import sys, random\nreturn random.Random(1).randrange(sys.maxsize)", json!(5_249_979_066_121_302_517_i64)),
        ("import sys, queue\nq = queue.Queue(sys.maxsize)\nq.put(1)\nreturn q.get()", json!(1)),
    ])
    .await;
}

#[tokio::test]
async fn large_counts_act_as_on_64_bits() {
    all_return(&[
        ("return ['a,b'.split(',', 2**40), 'a,b'.rsplit(',', 2**40), b'a,b'.split(b',', 2**40)[1].decode()]", json!([["a", "b"], ["a", "b"], "b"])),
        ("return ['aa'.replace('a', 'b', 2**40), 'aa'.count('a', 0, 2**40), 'abc'.index('c', -2**40, 2**40), 'abc'.startswith('a', -2**40)]", json!(["bb", 2, 2, true])),
        ("import re\nreturn [re.sub('a', 'b', 'aa', count=2**40), re.split(',', 'a,b', maxsplit=2**40), re.compile('a').search('ba', 0, 2**40).start()]", json!(["bb", ["a", "b"], 1])),
        ("import itertools as i\nreturn [list(i.islice(range(10), 2**40))[-1], next(i.repeat('x', 2**40)), list(i.islice(range(9), 1, None, 2**40))]", json!([9, "x", [1]])),
        ("import collections\nd = collections.deque([1, 2], maxlen=2**40)\nd.insert(2**40, 3)\nreturn [list(d), d.index(3, 0, 2**40)]", json!([[1, 2, 3], 2])),
        ("x = [1, 2]\nx.insert(2**40, 3)\nx.insert(-2**40, 0)\nreturn [x, x.index(2, -2**40, 2**40), x[:2**40], x[-2**40::2**40]]", json!([[0, 1, 2, 3], 2, [0, 1, 2, 3], [0]])),
        ("import bisect\nreturn [(1 >> 2**40), (-1 >> 2**40), 0 << 2**40, round(1.5, 2**40), '' * 2**40, [] * 2**40]", json!([0, -1, 0, 1.5, "", []])),
    ])
    .await;
    for (code, kind) in [
        ("'a' * 2**40", "MemoryError"),
        ("[None] * 2**40", "MemoryError"),
        ("bytes(2**40)", "MemoryError"),
        ("[1][2**40]", "IndexError"),
        ("'a'[2**40]", "IndexError"),
        ("[1].pop(2**40)", "IndexError"),
        ("'a,b'.split(',', 2**63)", "OverflowError"),
        ("__import__('struct').pack('n', 2**40)", "error"),
    ] {
        let text = format!("try:\n    {code}\nexcept Exception as e:\n    return type(e).__name__");
        all_return(&[(&text, json!(kind))]).await;
    }
}

#[tokio::test]
async fn values_that_are_no_counts_keep_64_bits() {
    all_return(&[
        ("import itertools\nreturn [list(enumerate('a', 2**40)), next(itertools.count(2**40)), list(itertools.islice(itertools.count(2**31 - 2), 3))]", json!([[[1_099_511_627_776_i64, "a"]], 1_099_511_627_776_i64, [2_147_483_646_i64, 2_147_483_647_i64, 2_147_483_648_i64]])),
        ("class K:\n    def __init__(self, n): self.n = n\n    def __hash__(self): return self.n\nreturn hash(K(2**40)) != hash(K(2**41))", json!(true)),
        ("import collections\nd = collections.deque('abc')\ntry:\n    d.rotate(2**40)\nexcept OverflowError:\n    return 'refused'", json!("refused")),
    ])
    .await;
}

#[tokio::test]
async fn lengths_have_64_bits() {
    all_return(&[
        ("r = range(10**12)\nreturn [len(r), len(range(2**31)), len(range(2**31 - 1)), [len(r) for _ in range(50)][-1]]", json!([1_000_000_000_000_i64, 2_147_483_648_i64, 2_147_483_647_i64, 1_000_000_000_000_i64])),
        ("class L:\n    def __len__(self): return 2**40\nreturn [len(L()) for _ in range(50)][-1]", json!(1_099_511_627_776_i64)),
        ("import random\nr = range(10**12)\nreturn [len(random.sample(r, 3)), len(random.choices(r, k=2)), random.choice(r) in r]", json!([3, 2, true])),
        ("import random\nreturn random.Random(7).sample(range(10**12), 2)", json!([434_439_589_175_i64, 54_335_349_840_i64])),
    ])
    .await;
    all_fail(&[
        ("len(range(2**63))", "Python int too large to convert to C ssize_t"),
        ("class L:\n    def __len__(self): return 2**63\nlen(L())", "cannot fit 'int' into an index-sized integer"),
        ("class L:\n    def __len__(self): raise OverflowError('mine')\ntry: list(range(10**12))\nexcept (MemoryError, OverflowError): pass\nlen(L())", "mine"),
    ])
    .await;
}

#[tokio::test]
async fn decimals_have_exponents_of_64_bits() {
    all_return(&[
        ("import decimal as d\nreturn [d.MAX_EMAX, d.MIN_EMIN, d.MAX_PREC]", json!([999_999_999_999_999_999_i64, -999_999_999_999_999_999_i64, 999_999_999_999_999_999_i64])),
        ("from decimal import Decimal as D\nreturn [D('1e999999999999'), D('1e-999999999999').adjusted(), D('1e500000000') < D('1e600000000')]", json!(["1E+999999999999", -999_999_999_999_i64, true])),
        ("from decimal import Decimal, localcontext\nwith localcontext() as c:\n    c.prec = 60\n    return [Decimal(2).sqrt(), Decimal(1) / 7, Decimal(3).ln()]", json!(["1.41421356237309504880168872420969807856967187537694807317668", "0.142857142857142857142857142857142857142857142857142857142857", "1.09861228866810969139524523692252570464749055782274945173469"])),
        ("from decimal import Decimal as D\nreturn [hash(D('1.5')) == hash(1.5), hash(D(10) ** 20) == hash(10 ** 20), hash(D('-2e5')) == hash(-200000), {D('0.5'): 'a'}[0.5]]", json!([true, true, true, "a"])),
        ("from decimal import Decimal as D\nreturn [int(D(7) ** 30) == 7 ** 30, D(7 ** 50), str(D(3) ** 300)[:20], f'{D(\"1234567.891\"):,.2f}', D('1.1').as_integer_ratio(), round(D('2.675'), 2), divmod(D(-7), 2)]", json!([true, "1798465042647412146620280340569649349251249", "1.368914790585883759", "1,234,567.89", [11, 10], "2.68", ["-3", "-1"]])),
        ("from decimal import MAX_EMAX, Context, Decimal, setcontext\nsetcontext(Context(prec=2000))\nx = Decimal(12345678901234567890) ** 90\nreturn [int(x) == 12345678901234567890 ** 90, str(x / 3)[:12], len(str(x * x))]", json!([true, "574416219582", 2007])),
        ("from decimal import MAX_EMAX, Context, Decimal, setcontext\nsetcontext(Context(prec=40000, Emax=MAX_EMAX))\nx = Decimal(3) ** 40000\nreturn int(x * x % 10**9 ) == pow(3, 80000, 10**9)", json!(true)),
    ])
    .await;
    // A coefficient beyond the address space.
    for code in [
        "int(D('1e9999999999'))",
        "D('1e9999999999').quantize(D(1), context=c)",
        "format(D('1e9999999999'), 'f')",
    ] {
        let text = format!(
            "from decimal import MAX_EMAX, MAX_PREC, Context, Decimal\nD, c = Decimal, Context(prec=MAX_PREC, Emax=MAX_EMAX)\ntry:\n    {code}\nexcept MemoryError:\n    return 'no memory'"
        );
        all_return(&[(&text, json!("no memory"))]).await;
    }
}

#[tokio::test]
async fn the_limit_of_digits_is_pythons() {
    all_return(&[
        ("import sys\nreturn sys.get_int_max_str_digits()", json!(4300)),
        (
            "try:\n    return str(10**4300)\nexcept ValueError as e:\n    return str(e)[:29]",
            json!("Exceeds the limit (4300 digit"),
        ),
        ("import sys\nsys.set_int_max_str_digits(0)\nreturn len(str(10**5000))", json!(5001)),
        ("return len(str(10**4299))", json!(4300)),
    ])
    .await;
    let message = "Result n: an integer with too many digits; return it as text";
    all_fail(&[("return {'n': 10**5000}", message)]).await;
}

//! Compressed archives, and keys derived from passwords.

use serde_json::json;

use super::{all_fail, all_return};

#[tokio::test]
async fn archives_of_each_kind_are_written_and_read() {
    all_return(&[
        (
            "import lzma\ndata = bytes(range(256)) * 200\nout = [lzma.decompress(lzma.compress(data)) == data, lzma.decompress(lzma.compress(data, lzma.FORMAT_ALONE)) == data]\nf = [{'id': lzma.FILTER_DELTA, 'dist': 4}, {'id': lzma.FILTER_LZMA2, 'preset': 3}]\nraw = lzma.compress(data, lzma.FORMAT_RAW, filters=f)\nreturn out + [lzma.decompress(raw, lzma.FORMAT_RAW, filters=f) == data, lzma.compress(b'', check=lzma.CHECK_SHA256)[:6].hex(), lzma.is_check_supported(lzma.CHECK_SHA256)]",
            json!([true, true, true, "fd377a585a00", true]),
        ),
        (
            "import lzma\nreturn lzma.decompress(bytes.fromhex('fd377a585a000004e6d6b4460200210116000000742fe5a3010004 68656c6c6f000000b3c4e5e8f1d2b7a70001 1d05000000001fb6f37d010000000004595a'.replace(' ', ''))).decode() if 0 else lzma.decompress(lzma.compress(b'hello', preset=0)).decode()",
            json!("hello"),
        ),
        (
            "import lzma\ntry: lzma.decompress(b'nonsense')\nexcept lzma.LZMAError as e: a = str(e)\ntry: lzma.decompress(lzma.compress(b'abc')[:-3])\nexcept lzma.LZMAError as e: return [a, str(e)]",
            json!(["Input format not supported by decoder", "Compressed data ended before the end-of-stream marker was reached"]),
        ),
        (
            "import lzma\nwith lzma.open('a.xz', 'wt') as f: f.write('één\\n' * 1000)\nwith lzma.open('a.xz', 'rt') as f: n = sum(1 for _ in f)\nd = lzma.LZMADecompressor()\nout = d.decompress(open('a.xz', 'rb').read(), max_length=10)\nreturn [n, len(out), d.needs_input, d.eof, d.check]",
            json!([1000, 10, false, false, 4]),
        ),
        (
            "import tarfile, io, os\nos.mkdir('d')\nopen('d/a.txt', 'w').write('hi' * 1000)\nout = []\nfor kind in ('gz', 'bz2', 'xz'):\n    with tarfile.open(f't.{kind}', f'w:{kind}') as t: t.add('d')\n    with tarfile.open(f't.{kind}') as t: out.append([t.getnames(), len(t.extractfile('d/a.txt').read())])\nwith tarfile.open('t.xz', 'r|xz') as t: out.append([m.name for m in t])\nreturn out",
            json!([[["d", "d/a.txt"], 2000], [["d", "d/a.txt"], 2000], [["d", "d/a.txt"], 2000], ["d", "d/a.txt"]]),
        ),
        (
            "import zipfile\nout = []\nfor how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):\n    with zipfile.ZipFile('z.zip', 'w', how) as z: z.writestr('a', 'x' * 10_000)\n    with zipfile.ZipFile('z.zip') as z: out.append([z.testzip(), len(z.read('a')), z.infolist()[0].compress_type])\nreturn out",
            json!([[null, 10000, 0], [null, 10000, 8], [null, 10000, 12], [null, 10000, 14]]),
        ),
        (
            "import bz2, gzip, zlib, shutil\nwith bz2.open('a.bz2', 'wt') as f: f.write('x\\n' * 1000)\nwith open('a.bz2', 'ab') as f: f.write(bz2.compress(b'more\\n'))\nc = bz2.BZ2Compressor(1)\nb = c.compress(b'ab') + c.flush()\nwith gzip.open('a.gz', 'wb') as f: shutil.copyfileobj(bz2.open('a.bz2'), f)\nd = zlib.decompressobj(31)\nreturn [bz2.decompress(b).decode(), sum(1 for _ in bz2.open('a.bz2')), len(d.decompress(open('a.gz', 'rb').read(), 100)), d.eof, gzip.open('a.gz').read()[-5:].decode()]",
            json!(["ab", 1001, 100, false, "more\n"]),
        ),
        (
            "import shutil, os\nos.mkdir('d')\nopen('d/a', 'w').write('1')\nnames = [shutil.make_archive('out', kind, 'd') for kind in ('zip', 'tar', 'gztar', 'bztar', 'xztar')]\nshutil.unpack_archive('out.tar.xz', 'e')\nreturn [[os.path.basename(n) for n in names], os.listdir('e'), sorted(f[0] for f in shutil.get_archive_formats())]",
            json!([["out.zip", "out.tar", "out.tar.gz", "out.tar.bz2", "out.tar.xz"], ["a"], ["bztar", "gztar", "tar", "xztar", "zip"]]),
        ),
    ])
    .await;
}

/// The vectors of <https://www.rfc-editor.org/rfc/rfc7914#section-12>, without the one of 1 GiB.
#[tokio::test]
async fn scrypt_gives_the_keys_of_the_rfc() {
    all_return(&[
        (
            "import hashlib\nreturn hashlib.scrypt(b'', salt=b'', n=16, r=1, p=1).hex()",
            json!("77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"),
        ),
        (
            "import hashlib\nreturn hashlib.scrypt(b'password', salt=b'NaCl', n=1024, r=8, p=16).hex()",
            json!("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"),
        ),
        (
            "import hashlib\nreturn hashlib.scrypt(b'pleaseletmein', salt=b'SodiumChloride', n=16384, r=8, p=1).hex()",
            json!("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"),
        ),
        (
            "import hashlib\nreturn hashlib.scrypt(bytearray(b'p'), salt=memoryview(b's'), n=2, r=3, p=5, dklen=100, maxmem=5000).hex()[:20] + hashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, dklen=1).hex()",
            json!("3af96bf5fd5563cf962513"),
        ),
    ])
    .await;
}

/// OpenSSL's checks, by parameter.
#[tokio::test]
async fn scrypt_refuses_what_openssl_refuses() {
    all_fail(&[
        ("import hashlib\nhashlib.scrypt(b'p')", "salt is required"),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's')",
            "n is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16)",
            "r is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1)",
            "p is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt('p', salt=b's', n=16, r=1, p=1)",
            "memoryview: a bytes-like object is required, not 'str'",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=3, r=1, p=1)",
            "n must be a power of 2.",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=0, r=1, p=1)",
            "n must be a power of 2.",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=-1, r=1, p=1)",
            "n is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n='x', r=1, p=1)",
            "scrypt() argument 'n' must be int, not str",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=0, p=1)",
            "Invalid parameter combination for n, r, p, maxmem.",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=-1, p=1)",
            "r is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=0)",
            "Invalid parameter combination for n, r, p, maxmem.",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=36893488147419103232)",
            "p is required and must be an unsigned int",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=1048576, r=1, p=1)",
            "[digital envelope routines] memory limit exceeded",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=65536, r=1, p=1)",
            "[digital envelope routines] memory limit exceeded",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, maxmem=-1)",
            "maxmem must be positive and smaller than 2147483647",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, maxmem=2147483648)",
            "maxmem must be positive and smaller than 2147483647",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, maxmem=2431)",
            "[digital envelope routines] memory limit exceeded",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, dklen=0)",
            "dklen must be greater than 0 and smaller than 2147483647",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1, dklen=2147483648)",
            "dklen must be greater than 0 and smaller than 2147483647",
        ),
        (
            "import hashlib\nhashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1073741824)",
            "[digital envelope routines] memory limit exceeded",
        ),
    ])
    .await;
}

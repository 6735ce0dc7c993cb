"""Data formats: JSON, XML, base64, digests, dates, addresses."""

import base64
import binascii
import datetime
import hashlib
import hmac
import json
import struct
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree

from items import orders


def json_both_ways() -> None:
    """Encodes and decodes documents of several shapes."""
    documents = [
        orders(120),
        {"rows": [[i, i / 3, str(i), None, i % 2 == 0] for i in range(500)]},
        {
            "text": 'Grüße, 世界! \u2014 "quoted" \\ \n' * 60,
            "deep": [[[[[{"a": {"b": {"c": []}}}]]]]],
        },
    ]
    for document in documents:
        text = json.dumps(document)
        assert json.loads(text) == document
        json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
        json.dumps(document, separators=(",", ":"), default=str)


def dates() -> None:
    """Parses, adds and formats dates."""
    start = datetime.datetime(2026, 1, 31, 12, 30, tzinfo=datetime.timezone.utc)
    for i in range(300):
        moment = start + datetime.timedelta(days=i, minutes=i * 7)
        text = moment.isoformat()
        again = datetime.datetime.fromisoformat(text)
        again.strftime("%Y-%m-%d %H:%M")
        (again - start).total_seconds()
        again.astimezone(datetime.timezone(datetime.timedelta(hours=2))).date().isocalendar()
        if i % 6 == 0:
            datetime.datetime.strptime("31.12.2026 23:59", "%d.%m.%Y %H:%M")


def digests() -> None:
    """Digests, signatures, encodings."""
    for i in range(60):
        data = f"payload {i} ".encode() * 30
        digest = hashlib.sha256(data).hexdigest()
        hashlib.md5(data).digest()
        hmac.new(b"key", data, "sha256").hexdigest()
        base64.b64decode(base64.b64encode(data))
        binascii.unhexlify(digest)
        uuid.uuid5(uuid.NAMESPACE_URL, digest)
        struct.unpack("<IHb", struct.pack("<IHb", i, i, 1))


def addresses() -> None:
    """Builds URLs and parses them."""
    for i in range(120):
        query = urllib.parse.urlencode(
            {"q": f"söme text {i}", "page": i, "tags": ["a", "b"]}, doseq=True
        )
        parts = urllib.parse.urlsplit(f"https://shop.example:8443/a/b{i}?{query}#top")
        urllib.parse.parse_qs(parts.query)
        urllib.parse.urljoin(parts.geturl(), "../c")
        urllib.parse.unquote(urllib.parse.quote(f"ä/{i} ?"))


def xml() -> None:
    """Writes XML and parses it."""
    root = ElementTree.Element("feed")
    for i in range(120):
        entry = ElementTree.SubElement(root, "entry", id=str(i))
        ElementTree.SubElement(entry, "title").text = f"Title {i} & more"
    parsed = ElementTree.fromstring(ElementTree.tostring(root))
    [(entry.get("id"), entry.findtext("title")) for entry in parsed.iter("entry")]


def main() -> None:
    """Runs one round."""
    json_both_ways()
    dates()
    digests()
    addresses()
    xml()

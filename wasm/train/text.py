"""Text: regular expressions, splitting, templates, CSV, HTML."""

import csv
import difflib
import html
import io
import re
import string
import textwrap
import unicodedata
from html.parser import HTMLParser

LINE = re.compile(r'^(\S+) - \[([^\]]+)\] "(GET|POST) ([^" ]+)[^"]*" (\d+) (\d+)$', re.M)
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def log() -> int:
    """Parses lines of a log."""
    lines = "\n".join(
        f"10.{i % 250}.0.{i % 7} - [{i % 28 + 1:02}/Mar/2026] "
        f'"GET /page/{i}?q={i * 7} HTTP/1.1" {200 + i % 3} {i * 31}'
        for i in range(800)
    )
    size = sum(int(match.group(6)) for match in LINE.finditer(lines))
    for line in lines.splitlines():
        address, _, rest = line.partition(" - ")
        size += len(address.split(".")) + rest.count("/")
    return size


def clean(names: list[str]) -> list[str]:
    """Turns names into parts of addresses."""
    slugs = []
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
        slugs.append(slug.replace("--", "-")[:40] or "none")
    return slugs


def messages(count: int) -> str:
    """Formats text in all usual ways."""
    template = string.Template("Dear $name, your order $number costs $price.")
    parts = []
    for i in range(count):
        parts.append(template.substitute(name=f"Ann {i}", number=i, price=f"{i * 1.19:.2f}"))
        parts.append("%05d|%s|%.3f" % (i, hex(i), i / 3))
        parts.append("{:>8}|{:<8}|{:^8}".format(i, i * 2, i * 3))
        parts.append(f"{i:,}".join(("<", ">")) + ("odd" if i % 2 else "even").title())
    text = "\n".join(parts)
    return textwrap.fill(text[:3000], 70) + textwrap.dedent("  a\n   b\n") + text.upper()[:50]


def table(rows: int) -> float:
    """Writes CSV and reads it back."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "name", "amount", "remark"])
    writer.writeheader()
    for i in range(rows):
        writer.writerow(
            {
                "id": i,
                "name": f"Müller, {i}",
                "amount": i * 1.5,
                "remark": 'said "yes"' if i % 5 else "",
            }
        )
    out.seek(0)
    return sum(float(row["amount"]) for row in csv.DictReader(out) if row["remark"])


class Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.extend(value for name, value in attrs if name == "href")


def page() -> list[str]:
    """Writes HTML and parses it."""
    rows = "".join(
        f'<tr><td>{html.escape(f"<{i}> & co")}</td><td><a href="/p/{i}">p{i}</a></td></tr>'
        for i in range(60)
    )
    links = Links()
    links.feed(f"<html><body><table>{rows}</table></body></html>")
    return [html.unescape(link) for link in links.found if link]


def main() -> None:
    """Runs one round."""
    log()
    clean([f"Ärger & Söhne Nr. {i}: «Größe»" for i in range(250)])
    text = messages(400)
    words = text.split()
    {word.lower().strip(string.punctuation): len(word) for word in words}
    MAIL.findall(" ".join(f"x{i}@y{i % 9}.example" for i in range(300)))
    re.split(r"[\s,;]+", text)
    table(250)
    page()
    difflib.get_close_matches("order", words[:120])

"""Adapts the standard library to the sandbox: media types, locales, the limit of digits."""

import locale
import mimetypes
from typing import Any

# Common files of offices, calendars, the web and media, by IANA's registry. CPython reads them from
# files of the system, which the sandbox lacks.
_MEDIA_TYPES = """
application/epub+zip epub
application/geo+json geojson
application/gpx+xml gpx
application/msword dot
application/rss+xml rss
application/rtf rtf
application/sql sql
application/toml toml
application/vnd.apache.parquet parquet
application/vnd.apple.keynote key
application/vnd.apple.numbers numbers
application/vnd.apple.pages pages
application/vnd.google-earth.kml+xml kml
application/vnd.google-earth.kmz kmz
application/vnd.ms-excel.sheet.binary.macroEnabled.12 xlsb
application/vnd.ms-excel.sheet.macroEnabled.12 xlsm
application/vnd.ms-outlook msg
application/vnd.ms-powerpoint.presentation.macroEnabled.12 pptm
application/vnd.ms-project mpp
application/vnd.ms-word.document.macroEnabled.12 docm
application/vnd.oasis.opendocument.formula odf
application/vnd.oasis.opendocument.graphics odg
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.presentation-template otp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.spreadsheet-template ots
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.text-template ott
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx
application/vnd.openxmlformats-officedocument.presentationml.template potx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx
application/vnd.rar rar
application/vnd.sqlite3 sqlite sqlite3 db
application/vnd.visio vsd vsdx
application/x-7z-compressed 7z
application/x-ndjson ndjson jsonl
application/x-x509-ca-cert crt pem der
application/pkcs7-mime p7m
application/pkcs7-signature p7s
application/pgp-signature sig
application/pgp-encrypted pgp gpg
application/xhtml+xml xhtml
application/atom+xml atom
application/xslt+xml xslt
application/yaml yaml yml
audio/flac flac
audio/midi mid midi
audio/mp4 m4a
audio/ogg ogg oga
audio/webm weba
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/emf emf
image/jxl jxl
image/vnd.adobe.photoshop psd
image/wmf wmf
model/gltf+json gltf
model/gltf-binary glb
text/calendar ics ifb
text/markdown md markdown
text/plain log conf ini
video/matroska mkv
video/ogg ogv
video/x-m4v m4v
video/x-ms-wmv wmv
video/x-msvideo avi
video/x-flv flv
"""

# The C library has one locale, under these names.
_C_LOCALES = ("", "C", "POSIX", "C.UTF-8", "C.UTF8", "C.utf8")


def install() -> None:
    """Changes the modules, before the snapshot."""
    _add_media_types()
    _refuse_locales()


def _add_media_types() -> None:
    # `init` copies the defaults again, so the types join them.
    defaults: dict[str, str] = vars(mimetypes)["_types_map_default"]
    for line in _MEDIA_TYPES.split("\n"):
        media_type, *endings = line.split() or [""]
        for ending in endings:
            defaults.setdefault(f".{ending}", media_type)
    mimetypes.init()


def _refuse_locales() -> None:
    """Lets `setlocale` fail for locales that do not exist. The C library accepts any name."""
    members = vars(locale)
    original = members["_setlocale"]

    def checked(category: int, name: str | None = None) -> Any:
        # Composed names, LC_CTYPE=C.UTF-8;…, are those that `setlocale` returned.
        parts = [part.rpartition("=")[2] for part in (name or "").split(";")]
        if any(part not in _C_LOCALES for part in parts):
            raise locale.Error(
                "unsupported locale setting: only the locale C exists in this sandbox;"
                " f'{number:,.2f}' groups digits"
            )
        return original(category, name)

    checked.__name__ = checked.__qualname__ = "setlocale"
    members["_setlocale"] = checked

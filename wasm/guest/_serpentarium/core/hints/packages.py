"""What replaces a well-known package that the image does not have."""

from typing import NamedTuple


class Alternative(NamedTuple):
    """What to use instead of some packages."""

    # Modules of the standard library.
    modules: tuple[str, ...] = ()
    # Nodes of n8n.
    nodes: str = ""
    # Requests over the network.
    is_http: bool = False


def _table(
    *rows: tuple[str, str, str], requests: str = "", services: str = ""
) -> dict[str, Alternative]:
    table = {name: Alternative(is_http=True) for name in requests.split()}
    table |= {
        name: Alternative(is_http=True, nodes="the service's own") for name in services.split()
    }
    for names, modules, nodes in rows:
        table |= dict.fromkeys(names.split(), Alternative(tuple(modules.split()), nodes))
    return table


# By the import name of the package.
ALTERNATIVES = _table(
    ("pandas polars pyarrow dask duckdb", "csv statistics itertools", "Summarize, Merge or Sort"),
    ("numpy scipy sympy numba", "statistics math fractions", ""),
    ("sklearn tensorflow torch keras transformers nltk spacy", "statistics re", ""),
    ("bs4 lxml html5lib pyquery parsel selectolax", "html.parser xml.etree.ElementTree", "HTML"),
    ("xmltodict defusedxml", "xml.etree.ElementTree", "XML"),
    ("yaml ruamel toml tomli orjson ujson simplejson rapidjson", "json tomllib", ""),
    ("markdown markdownify html2text", "html.parser", "Markdown"),
    ("jinja2 mako", "string", ""),
    ("dateutil pytz tzlocal arrow pendulum dateparser", "datetime zoneinfo", "Date & Time"),
    ("cryptography Crypto Cryptodome nacl bcrypt passlib", "hashlib hmac secrets", "Crypto"),
    ("jwt jose", "hmac hashlib base64 json", "JWT"),
    ("PIL cv2 imageio skimage", "", "Edit Image"),
    ("openpyxl xlrd xlsxwriter odf", "csv zipfile", "Extract from File or Convert to File"),
    ("pypdf PyPDF2 pdfplumber pdfminer fitz pymupdf docx", "zipfile", "Extract from File"),
    ("reportlab fpdf weasyprint matplotlib seaborn plotly", "", ""),
    ("psycopg2 psycopg asyncpg", "", "Postgres"),
    ("pymysql MySQLdb mysql aiomysql", "", "MySQL"),
    ("pymongo motor", "", "MongoDB"),
    ("redis aioredis", "", "Redis"),
    ("sqlalchemy peewee", "", "Postgres or MySQL"),
    ("paramiko fabric", "", "SSH"),
    ("dotenv decouple environs", "", ""),
    ("pydantic attr attrs marshmallow", "dataclasses typing", ""),
    ("regex unidecode ftfy chardet", "re unicodedata", ""),
    ("tqdm rich colorama termcolor tabulate loguru", "logging pprint", ""),
    ("six future", "", ""),
    ("rapidfuzz fuzzywuzzy thefuzz Levenshtein", "difflib", ""),
    ("click typer fire", "argparse", ""),
    ("pytest nose", "unittest", ""),
    ("selenium playwright pyppeteer", "", "HTTP Request"),
    ("py7zr rarfile zstandard", "zipfile zlib", "Compression"),
    requests="""
    aiohttp requests_toolbelt requests_oauthlib cloudscraper grequests httplib2 websocket
    websockets feedparser
    """,
    services="""
    boto3 botocore openai anthropic google googleapiclient slack_sdk stripe twilio sendgrid
    telegram telebot notion_client airtable supabase firebase_admin azure github gspread
    langchain langchain_openai tweepy
    """,
)

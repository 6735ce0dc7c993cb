"""The modules that the data image imports before the snapshot."""

NAMES = """
    _serpentarium_sources numpy _serpentarium_files pandas
    attr attrs bs4 dateutil dateutil.easter dateutil.parser dateutil.relativedelta dateutil.rrule
    dateutil.tz et_xmlfile jinja2 jsonschema jwt markdown markupsafe networkx openpyxl pypdf
    pyrsistent pytz regex six slugify soupsieve tabulate tenacity text_unidecode
    typing_extensions xlsxwriter xmltodict yaml
    _serpentarium_data
""".split()

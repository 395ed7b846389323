"""Licences as people write them, and as SPDX does."""

import re

#: Longest text in which a licence is looked for.
_MAX_CHARS = 500
_CC_URL = re.compile(
    r"creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)/(\d\.\d)(?:/([a-z]{2})\b(?!-))?"
)
#: Words of Creative Commons' elements, in the order in which an identifier has them.
_ELEMENTS = {
    "BY": {"by", "attribution"},
    "NC": {"nc", "noncommercial"},
    "ND": {"nd", "noderivatives", "noderivs", "noderivative"},
    "SA": {"sa", "sharealike"},
}
_CC_WORDS = {"cc", "creative", "commons"}
#: What may stand around the elements without changing them.
_FILLERS = {
    *("license", "licence", "licensed", "under", "the", "a", "is", "this", "image", "work"),
    *("generic", "unported", "international", "public", "version", "v", "only"),
}
_PLAIN = {
    "mit": "MIT",
    "mitlicense": "MIT",
    "apache2": "Apache-2.0",
    "apache20": "Apache-2.0",
    "apachelicense20": "Apache-2.0",
    "apachelicenseversion20": "Apache-2.0",
    "bsd2clause": "BSD-2-Clause",
    "bsd3clause": "BSD-3-Clause",
    "bsd3": "BSD-3-Clause",
    "gpl2": "GPL-2.0-only",
    "gpl20": "GPL-2.0-only",
    "gpl3": "GPL-3.0-only",
    "gpl30": "GPL-3.0-only",
    "odbl": "ODbL-1.0",
    "odbl10": "ODbL-1.0",
    "ofl11": "OFL-1.1",
    "silopenfontlicense11": "OFL-1.1",
    "gfdl": "GFDL-1.3-only",
    "gfdl12": "GFDL-1.2-only",
    "unlicense": "Unlicense",
    "theunlicense": "Unlicense",
    "unicode30": "Unicode-3.0",
    "publicdomainmark": "CC-PDM-1.0",
    "publicdomainmark10": "CC-PDM-1.0",
    "pdm": "CC-PDM-1.0",
    "ccpdm10": "CC-PDM-1.0",
}


def spdx_id(licence: str) -> str | None:
    """A licence as SPDX writes it: "CC BY-NC-SA 2.0" is "CC-BY-NC-SA-2.0"; None if unknown.

    A Creative Commons licence without a version has none here either: "CC-BY".
    """
    text = licence[:_MAX_CHARS].strip()
    url = _CC_URL.search(text.lower())
    if url:
        return _of_url(*url.groups())
    plain = _PLAIN.get("".join(re.findall(r"[a-z0-9]+", text.lower())))
    return plain or _creative_commons(text)


def _of_url(kind: str, path: str, version: str, country: str | None) -> str | None:
    if kind == "publicdomain":
        return {"zero": f"CC0-{version}", "mark": f"CC-PDM-{version}"}.get(path)
    return _identifier(set(path.split("-")), version, country)


def _creative_commons(text: str) -> str | None:
    text = re.sub(r"\b(non|no|share)[ _-](commercial|deriv\w*|alike)", r"\1\2", text.lower())
    found = re.search(r"(?<![\d.])(\d)(\.\d)?(?![\d.])", text.replace("cc0", "cc zero"))
    version = None if found is None else found[1] + (found[2] or ".0")
    words = set(re.findall(r"[a-z]+", text.replace("cc0", "cc zero")))
    if not words & _CC_WORDS and not words & {"by", "attribution"}:
        return None
    rest = words - _CC_WORDS
    if "zero" in rest:
        return "CC0-1.0" if rest <= {"zero", "domain", "dedication"} | _FILLERS else None
    countries = {word for word in rest if len(word) == 2} - set().union(*_ELEMENTS.values(), {"is"})
    country = countries.pop() if len(countries) == 1 and version else None
    return _identifier(rest - _FILLERS - {country}, version, country)


def _identifier(words: set[str], version: str | None, country: str | None) -> str | None:
    """The identifier of these elements, None if there is anything else among the words."""
    elements = [name for name, spellings in _ELEMENTS.items() if words & spellings]
    if not elements or words - set().union(*_ELEMENTS.values()):
        return None
    if elements[0] != "BY" and version != "1.0":  # of later ones, all ask for attribution
        return None
    parts = ["CC", *elements, version, country.upper() if country else None]
    return "-".join(part for part in parts if part)

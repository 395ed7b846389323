"""The closed vocabulary: task types, modality combinations, their cells, the 93 languages."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

TaskType = Literal["classification", "vqa", "retrieval"]
Modality = Literal["I->T", "IT->T", "T->IT", "T->I", "I->I", "IT->I", "IT->IT"]
#: (task type, modality combination, language): one entry of the table of targets and counts.
Slot = tuple[str, str, str]
ImageRole = Literal["query", "positive", "negative"]
Config = Literal["Classification", "VQA", "Retrieval"]

TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
MODALITIES: tuple[Modality, ...] = get_args(Modality)

#: Dataset config of each task type; the names of `intfloat/mmE5-synthetic`.
CONFIG_OF_TASK: dict[TaskType, Config] = {
    "classification": "Classification",
    "vqa": "VQA",
    "retrieval": "Retrieval",
}
SPLITS: tuple[Literal["train", "validation"], ...] = ("train", "validation")


@dataclass(frozen=True)
class Cell:
    """One (task type, modality combination) of the paper; query side first in `modality`.

    What follows from the two is found once per object, for it is asked for every job and row.
    """

    task_type: TaskType
    modality: Modality

    @cached_property
    def name(self) -> str:
        """File-name form, such as `retrieval_it2i`."""
        return f"{self.task_type}_{self.modality.lower().replace('->', '2')}"

    @cached_property
    def query_has_text(self) -> bool:
        return "T" in self.modality.split("->")[0]

    @cached_property
    def query_has_image(self) -> bool:
        return "I" in self.modality.split("->")[0]

    @cached_property
    def document_has_text(self) -> bool:
        return "T" in self.modality.split("->")[1]

    @cached_property
    def document_has_image(self) -> bool:
        return "I" in self.modality.split("->")[1]

    @cached_property
    def image_roles(self) -> tuple[ImageRole, ...]:
        """Roles of the images a job of this cell carries, in the order they are attached."""
        query: tuple[ImageRole, ...] = ("query",) if self.query_has_image else ()
        document: tuple[ImageRole, ...] = ("positive", "negative")
        return query + document if self.document_has_image else query


#: Which task type uses which modality combination (mmE5, figure 2): ten cells.
CELLS: tuple[Cell, ...] = (
    Cell("classification", "I->T"),
    Cell("classification", "IT->T"),
    Cell("vqa", "IT->T"),
    Cell("retrieval", "I->T"),
    Cell("retrieval", "IT->T"),
    Cell("retrieval", "T->IT"),
    Cell("retrieval", "T->I"),
    Cell("retrieval", "I->I"),
    Cell("retrieval", "IT->I"),
    Cell("retrieval", "IT->IT"),
)
CELL_BY_NAME: dict[str, Cell] = {cell.name: cell for cell in CELLS}


@dataclass(frozen=True, slots=True)
class Language:
    """A language of XLM-R's list.

    Args:
        code: ISO 639-1, as XLM-R writes it.
        name: English name.
        scripts: ISO 15924 codes of its scripts, the most common first.
    """

    code: str
    name: str
    scripts: tuple[str, ...]

    @property
    def is_rtl(self) -> bool:
        """Whether its most common script is written right to left."""
        return self.scripts[0] in {"Arab", "Hebr"}


_TABLE = """
af Afrikaans Latn|am Amharic Ethi|ar Arabic Arab|as Assamese Beng|az Azerbaijani Latn,Cyrl
be Belarusian Cyrl|bg Bulgarian Cyrl|bn Bengali Beng|br Breton Latn|bs Bosnian Latn,Cyrl
ca Catalan Latn|cs Czech Latn|cy Welsh Latn|da Danish Latn|de German Latn|el Greek Grek
en English Latn|eo Esperanto Latn|es Spanish Latn|et Estonian Latn|eu Basque Latn
fa Persian Arab|fi Finnish Latn|fr French Latn|fy Western_Frisian Latn|ga Irish Latn
gd Scottish_Gaelic Latn|gl Galician Latn|gu Gujarati Gujr|ha Hausa Latn|he Hebrew Hebr
hi Hindi Deva|hr Croatian Latn|hu Hungarian Latn|hy Armenian Armn|id Indonesian Latn
is Icelandic Latn|it Italian Latn|ja Japanese Jpan|jv Javanese Latn|ka Georgian Geor
kk Kazakh Cyrl|km Khmer Khmr|kn Kannada Knda|ko Korean Kore|ku Kurdish Latn,Arab
ky Kyrgyz Cyrl|la Latin Latn|lo Lao Laoo|lt Lithuanian Latn|lv Latvian Latn|mg Malagasy Latn
mk Macedonian Cyrl|ml Malayalam Mlym|mn Mongolian Cyrl|mr Marathi Deva|ms Malay Latn
my Burmese Mymr|ne Nepali Deva|nl Dutch Latn|no Norwegian Latn|om Oromo Latn|or Odia Orya
pa Punjabi Guru,Arab|pl Polish Latn|ps Pashto Arab|pt Portuguese Latn|ro Romanian Latn
ru Russian Cyrl|sa Sanskrit Deva|sd Sindhi Arab,Deva|si Sinhala Sinh|sk Slovak Latn
sl Slovenian Latn|so Somali Latn|sq Albanian Latn|sr Serbian Cyrl,Latn|su Sundanese Latn
sv Swedish Latn|sw Swahili Latn|ta Tamil Taml|te Telugu Telu|th Thai Thai|tl Tagalog Latn
tr Turkish Latn|ug Uyghur Arab|uk Ukrainian Cyrl|ur Urdu Arab|uz Uzbek Latn,Cyrl
vi Vietnamese Latn|xh Xhosa Latn|yi Yiddish Hebr|zh Chinese Hans,Hant
"""


def _read_table(table: str) -> dict[str, Language]:
    languages: dict[str, Language] = {}
    for entry in table.replace("\n", "|").strip("|").split("|"):
        code, name, scripts = entry.split()
        languages[code] = Language(code, name.replace("_", " "), tuple(scripts.split(",")))
    return languages


#: The 93 languages: XLM-R's list without romanised variants and second scripts (arXiv 2502.08468).
LANGUAGES: dict[str, Language] = _read_table(_TABLE)

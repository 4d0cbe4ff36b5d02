"""Takes rows more than once: prompts in other languages than English that ask for more than simple things.

They are few, and the first that an English encoder loses.
"""

import numpy as np

from .arrays import RowLanguages
from .dataset import LabelledRows

# Held to languages that the data may hold: among all that it knows, lingua takes short English with odd names for Latin
# or Maori.
LANGUAGES = """
ENGLISH SPANISH GERMAN FRENCH PORTUGUESE ITALIAN DUTCH RUSSIAN UKRAINIAN POLISH CZECH TURKISH CHINESE JAPANESE KOREAN
ARABIC PERSIAN HEBREW HINDI VIETNAMESE INDONESIAN SWEDISH FINNISH HUNGARIAN THAI GREEK
""".split()
AHEAD = 0.3  # another language must lead English by so much
READ = 400


def languages_of(texts: list[str]) -> RowLanguages:
    """Returns the language of each text, ISO 639-1; what is not surely another one is English."""
    from lingua import Language, LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_languages(*[getattr(Language, name) for name in LANGUAGES]).build()

    def code(text: str) -> str:
        values = {found.language: found.value for found in detector.compute_language_confidence_values(text[:READ])}
        best = max(values, key=lambda language: values[language], default=Language.ENGLISH)
        is_other = values.get(best, 0.0) > values.get(Language.ENGLISH, 0.0) + AHEAD
        return str(best.iso_code_639_1.name).lower() if is_other else "en"

    codes = {text: code(text) for text in set(texts)}
    return np.array([codes[text] for text in texts])


def oversample(rows: LabelledRows, times: int) -> LabelledRows:
    """Returns the rows with those of other languages that are not simple `times` times.

    All copies fall into one fold.
    """
    if times == 1:
        return rows
    more = rows.where((languages_of(rows.texts) != "en") & (rows.targets["tier"] > 0))
    copies = [more] * (times - 1)
    targets = np.concatenate([rows.targets["tier"], *(part.targets["tier"] for part in copies)])
    return LabelledRows(rows.texts + [text for part in copies for text in part.texts], {"tier": targets})

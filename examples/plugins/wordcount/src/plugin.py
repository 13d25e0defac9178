"""``demo:wordcount``: connects ``wordcount.py`` to the interface ``demo:wordcount/text``."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import text as api

import wordcount

# The longest text that is counted, some 10,000 words: even the worst of that length is counted in the time that
# hosts give by default.
MAX_BYTES = 64 * 1024
# The most words that are named.
MAX_TOP = 100


class Text(exports.Text):
    """What the interface exports."""

    def count(self, text: str, top: int) -> api.Summary:
        """See ``wit/wordcount.wit``."""
        if len(text.encode()) > MAX_BYTES:
            raise Err(api.CountError_TooLong(MAX_BYTES))
        found = wordcount.count(text, min(top, MAX_TOP))
        return api.Summary(
            words=found.words,
            sentences=found.sentences,
            paragraphs=found.paragraphs,
            characters=found.characters,
            reading_seconds=found.reading_seconds,
            top=[api.Frequency(word, times) for word, times in found.top],
        )

"""What is counted, in Python alone: the interface is tested on the built component."""

import pathlib
import re
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(FOLDER / "src"))

from wordcount import Summary, count  # noqa: E402


class Words(unittest.TestCase):
    def words(self, text):
        return count(text, 0).words

    def test_the_rows_of_the_readme_hold(self):
        readme = (FOLDER / "README.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(.+)` \| (\d+) \| (\d+) \|$", readme, re.MULTILINE)
        self.assertEqual(len(rows), 6)
        for text, words, sentences in rows:
            found = count(text, 0)
            self.assertEqual((found.words, found.sentences), (int(words), int(sentences)), text)

    def test_an_apostrophe_joins_and_a_hyphen_separates(self):
        self.assertEqual(self.words("it's rock'n'roll 'quoted' l\u2019eau"), 4)
        self.assertEqual(self.words("well-known"), 2)

    def test_a_number_is_one_word(self):
        self.assertEqual(self.words("1,000.5 and 3.14"), 3)

    def test_marks_belong_to_their_word(self):
        self.assertEqual(self.words("हिन्दी में"), 2)
        self.assertEqual(self.words("cafe\u0301 Việt"), 2)

    def test_what_has_no_letter_is_no_word(self):
        self.assertEqual(count(" ___ -- ?! \n\n ... ", 5), Summary(0, 0, 0, 18, 0, []))
        self.assertEqual(count("", 5), Summary(0, 0, 0, 0, 0, []))

    def test_characters_of_chinese_and_japanese_are_words(self):
        self.assertEqual(self.words("東京タワー"), 4)
        self.assertEqual(self.words("人々 and ガ"), 3)


class Sentences(unittest.TestCase):
    def sentences(self, text):
        return count(text, 0).sentences

    def test_abbreviations_initials_and_numbers_end_none(self):
        self.assertEqual(self.sentences("Dr. J. R. Smith paid 3.50, e.g. for tea. Then I. Really?"), 3)

    def test_several_marks_and_closing_quotes_are_one_end(self):
        self.assertEqual(self.sentences("\u201cWhat?!\u201d he said. (Why.) Well..."), 4)

    def test_a_heading_is_a_sentence_and_a_paragraph(self):
        found = count("# Title\n\nOne line\nand another. Two", 0)
        self.assertEqual((found.sentences, found.paragraphs), (3, 2))

    def test_a_text_of_points_or_initials_is_read_once(self):
        # Read over and over, each of these would take minutes.
        for text in ("." * 65_536, "A. " * 21_845, "'." * 32_768, "\n " * 32_768, "e.g." * 16_384):
            count(text, 0)


class Reading(unittest.TestCase):
    def test_time_is_rounded_up_to_seconds(self):
        self.assertEqual(count("a " * 238, 0).reading_seconds, 60)
        self.assertEqual(count("a " * 239, 0).reading_seconds, 61)
        self.assertEqual(count("a", 0).reading_seconds, 1)

    def test_chinese_is_read_by_characters(self):
        self.assertEqual(count("字" * 500, 0).reading_seconds, 60)


class Top(unittest.TestCase):
    def test_the_most_frequent_come_first_and_equal_ones_by_letters(self):
        self.assertEqual(count("b a c B. c?", 2).top, [("b", 2), ("c", 2)])
        self.assertEqual(count("b a", 9).top, [("a", 1), ("b", 1)])

    def test_case_and_form_make_no_other_word(self):
        self.assertEqual(count("Straße STRASSE can\u2019t Can't", 5).top, [("can't", 2), ("strasse", 2)])
        self.assertEqual(count("e\u0301 \u00e9", 5).top, [("\u00e9", 2)])


if __name__ == "__main__":
    unittest.main()

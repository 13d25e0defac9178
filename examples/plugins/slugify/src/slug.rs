//! A title in, a slug out.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The most characters that a slug has.
const MAX_CHARS: usize = 80;

/// The slug of a text, or none if the text has no letter or digit.
pub(crate) fn slugify(text: &str) -> Option<String> {
    let folded = fold(text);
    let words = folded.split('-').filter(|word| !word.is_empty());
    let mut slug = String::new();
    let mut room = MAX_CHARS;
    for word in words {
        let joint = usize::from(!slug.is_empty());
        let length = word.chars().count();
        if length + joint > room {
            // Only a first word may be cut: half a word misleads, but no slug at all is worse.
            if slug.is_empty() {
                slug.extend(word.chars().take(MAX_CHARS));
            }
            break;
        }
        if joint == 1 {
            slug.push('-');
        }
        slug.push_str(word);
        room -= length + joint;
    }
    (!slug.is_empty()).then_some(slug)
}

/// The text in lower case and without accents on Latin letters; what can't be kept becomes `-`.
///
/// Marks are taken off Latin letters only. In other scripts they are spelling: `й` is not `и`, and
/// Devanagari's vowels are marks.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut base = Base::Other;
    for c in text.nfkd().flat_map(char::to_lowercase) {
        if is_combining_mark(c) {
            if base == Base::Letter {
                folded.push(c);
            }
        } else if let Some(spelled) = spelled_out(c) {
            folded.push_str(spelled);
            base = Base::Latin;
        } else if c.is_ascii_alphanumeric() {
            folded.push(c);
            base = Base::Latin;
        } else if c.is_alphanumeric() {
            folded.push(c);
            base = Base::Letter;
        } else if !matches!(c, '\'' | '\u{2019}' | '\u{ad}' | '\u{200b}'..='\u{200d}') {
            folded.push('-');
            base = Base::Other;
        }
    }
    folded.nfc().collect()
}

/// What a combining mark stands on.
#[derive(PartialEq)]
enum Base {
    /// A Latin letter or a digit: the mark is an accent and goes.
    Latin,
    /// A letter of another script: the mark belongs to the spelling and stays.
    Letter,
    /// Nothing that is kept.
    Other,
}

/// Latin letters that are not a base letter with a mark, spelled with the letters that stand for them
/// where a keyboard lacks them.
fn spelled_out(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŋ' => "ng",
        'þ' => "th",
        'ŧ' => "t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_the_slugs_that_the_readme_shows() {
        let readme = include_str!("../README.md");
        let rows = readme.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.strip_suffix("` |")?.split("` | `");
            Some((cells.next()?, cells.next()?))
        });
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), 5);
        for (title, slug) in rows {
            assert_eq!(slugify(title).as_deref(), Some(slug), "{title}");
        }
    }

    #[test]
    fn marks_stay_where_they_are_spelling() {
        assert_eq!(slugify("Йод").as_deref(), Some("йод"));
        assert_eq!(slugify("हिन्दी").as_deref(), Some("हिन्दी"));
        assert_eq!(slugify("Việt Nam").as_deref(), Some("viet-nam"));
        assert_eq!(slugify("İstanbul").as_deref(), Some("istanbul"));
    }

    #[test]
    fn hyphens_never_touch_each_other_or_an_end() {
        assert_eq!(slugify(" -- a /_/ b... ").as_deref(), Some("a-b"));
    }

    #[test]
    fn a_long_title_is_cut_between_words() {
        let slug = slugify(&format!("{} {} tail", "a".repeat(40), "b".repeat(39))).expect("a slug");
        assert_eq!(slug, format!("{}-{}", "a".repeat(40), "b".repeat(39)));
        assert_eq!(slug.chars().count(), 80);
        let slug = slugify(&format!("{} {}", "a".repeat(40), "b".repeat(40))).expect("a slug");
        assert_eq!(slug, "a".repeat(40));
    }

    #[test]
    fn one_word_of_more_than_80_characters_is_cut_at_80() {
        assert_eq!(slugify(&"щ".repeat(200)).expect("a slug"), "щ".repeat(80));
    }

    #[test]
    fn a_slug_of_a_slug_is_that_slug() {
        for title in ["Crème brûlée", "ﬁne Ⅷ ½", "हिन्दी Йод", "ΑΣ ΟΔΟΣ", "A\u{308}\u{301}b", &"x-".repeat(100)]
        {
            let once = slugify(title).expect("a slug");
            assert_eq!(slugify(&once).as_deref(), Some(once.as_str()), "{title}");
        }
    }
}

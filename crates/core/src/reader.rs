//! Reading the TOML that people write, so that every complaint has a line and one reading finds all of them.

use std::{collections::BTreeSet, fmt::Display, ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use self::problem::Problem;

mod problem;

/// Collects problems while sections are read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    /// What the file is usually called, for messages about its top.
    file: &'static str,
    problems: Vec<Problem>,
}

/// A table that is being read. Each key that is asked for is known; [`Section::finish`] complains of the others.
pub(crate) struct Section<'a, 't> {
    /// As in a header: `plugin`, `config.api-url`; empty at the top.
    pub(crate) path: String,
    table: &'a DeTable<'t>,
    line: usize,
    known: BTreeSet<&'static str>,
}

pub(crate) type Value<'a, 't> = &'a Spanned<DeValue<'t>>;

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str, file: &'static str) -> Self {
        Self { text, file, problems: Vec::new() }
    }

    /// Lines count from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(crate) fn problem(&mut self, line: usize, at: impl Into<String>, message: impl Display) {
        self.hinted(line, at, message, None);
    }

    pub(crate) fn hinted(&mut self, line: usize, at: impl Into<String>, message: impl Display, hint: Option<String>) {
        self.problems.push(Problem { line, at: at.into(), message: message.to_string(), hint });
    }

    /// The problems found, by line.
    /// Reads a whole file of at most `limit` bytes, which messages call `noun`. Gives every problem that there is.
    pub(crate) fn whole<T>(
        text: &'t str,
        file: &'static str,
        noun: &str,
        limit: usize,
        read: impl FnOnce(&mut Self, Section<'_, '_>) -> Option<T>,
    ) -> Result<T, Vec<Problem>> {
        let mut reader = Self::new(text, file);
        let found = if text.len() > limit {
            reader.problem(1, "", format!("the {noun} has {} bytes: at most {limit} are allowed", text.len()));
            None
        } else {
            let (table, errors) = DeTable::parse_recoverable(text);
            for error in &errors {
                let line = error.span().map_or(1, |span| reader.line(&span));
                reader.problem(line, "", format!("not TOML: {}", error.message()));
            }
            if errors.is_empty() { read(&mut reader, Section::new("", table.get_ref(), 1)) } else { None }
        };
        match (found, reader.finish()) {
            (Some(found), problems) if problems.is_empty() => Ok(found),
            (_, problems) => Err(problems),
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
}

impl<'a, 't> Section<'a, 't> {
    pub(crate) fn new(path: impl Into<String>, table: &'a DeTable<'t>, line: usize) -> Self {
        Self { path: path.into(), table, line, known: BTreeSet::new() }
    }

    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The line that opens the table.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// All keys with their lines and values, for tables whose keys are names. Nothing is left unknown.
    pub(crate) fn entries(&self, reader: &Reader<'_>) -> Vec<(&'a str, usize, Value<'a, 't>)> {
        let entry = |(key, value): (&'a Spanned<_>, _)| -> (&'a str, usize, Value<'a, 't>) {
            let name: &'a std::borrow::Cow<'t, str> = key.get_ref();
            (name, reader.line(&key.span()), value)
        };
        self.table.iter().map(entry).collect()
    }

    /// The value of a key and its line.
    pub(crate) fn value(&mut self, reader: &Reader<'_>, key: &'static str) -> Option<(usize, Value<'a, 't>)> {
        self.known.insert(key);
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((reader.line(&name.span()), value))
    }

    /// A key that must be there.
    pub(crate) fn required<T: FromStr<Err: Display>>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<T> {
        if self.value(reader, key).is_none() {
            reader.problem(self.line, self.at(key), "is missing");
        }
        self.parsed(reader, key)
    }

    /// A string that is parsed further.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<T> {
        let (line, value) = self.value(reader, key)?;
        parse(reader, line, &self.at(key), value)
    }

    /// An array of strings that are parsed further; empty where there is none.
    pub(crate) fn list<T: FromStr<Err: Display>>(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<T> {
        let Some((line, value)) = self.value(reader, key) else { return Vec::new() };
        let at = self.at(key);
        let DeValue::Array(items) = value.get_ref() else {
            reader.problem(line, at, format!("is {}, not an array of strings", kind(value)));
            return Vec::new();
        };
        let mut parsed = Vec::new();
        for item in items.iter() {
            let line = reader.line(&item.span());
            parsed.extend(parse::<T>(reader, line, &at, item));
        }
        parsed
    }

    /// A boolean, `false` where there is none.
    pub(crate) fn flag(&mut self, reader: &mut Reader<'_>, key: &'static str) -> bool {
        let Some((line, value)) = self.value(reader, key) else { return false };
        if let DeValue::Boolean(value) = value.get_ref() {
            return *value;
        }
        reader.problem(line, self.at(key), format!("is {}, not true or false", kind(value)));
        false
    }

    /// An integer within bounds.
    pub(crate) fn number(&mut self, reader: &mut Reader<'_>, key: &'static str, bounds: Range<u32>) -> Option<u32> {
        let (line, value) = self.value(reader, key)?;
        let number = integer(value).and_then(|number| u32::try_from(number).ok());
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            return Some(number);
        }
        let shown = integer(value).map_or_else(|| kind(value).to_owned(), |number| number.to_string());
        let last = bounds.end - 1;
        reader.problem(line, self.at(key), format!("is {shown}, not a number from {} to {last}", bounds.start));
        None
    }

    /// A table within this one.
    pub(crate) fn section(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Section<'a, 't>> {
        let (line, value) = self.value(reader, key)?;
        table(reader, line, self.at(key), value)
    }

    /// Complains of keys that nobody asked for.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        for (name, line, _) in self.entries(reader) {
            if !self.known.contains(name) {
                let home = if self.path.is_empty() { reader.file.to_owned() } else { format!("[{}]", self.path) };
                let nearest = nearest(name, self.known.iter().copied());
                let hint = nearest.map(|known| format!("did you mean `{known}`?"));
                reader.hinted(line, self.at(&shown(name)), format!("is not a key of {home}"), hint);
            }
        }
    }
}

/// A list without repetition of at most `max` items.
pub(crate) fn bounded_list<T: FromStr<Err: Display> + Ord + Display>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    max: usize,
) -> Vec<T> {
    let items: Vec<T> = section.list(reader, key);
    let line = section.value(reader, key).map_or(section.line(), |(line, _)| line);
    if items.len() > max {
        reader.problem(line, section.at(key), format!("has {} items: at most {max} are allowed", items.len()));
    }
    let mut sorted: Vec<_> = items.iter().collect();
    sorted.sort_unstable();
    for twice in sorted.windows(2).filter(|pair| pair[0] == pair[1]) {
        reader.problem(line, section.at(key), format!("names `{}` twice", twice[0]));
    }
    items
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    choices: &[(&str, T)],
) -> Option<T> {
    let line = section.value(reader, key)?.0;
    let text: Verbatim = section.parsed(reader, key)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.0) {
        return Some(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let message = format!("is \"{}\", not {}", shown(&text.0), names.join(" or "));
    reader.problem(line, section.at(key), message);
    None
}

/// Any string.
pub(crate) struct Verbatim(pub(crate) String);

impl FromStr for Verbatim {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// A value between bounds, both included.
pub(crate) fn within<T: FromStr<Err: Display> + Ord + Display + Copy>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    (least, most): (T, T),
) -> Option<T> {
    let value: T = section.parsed(reader, key)?;
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let line = section.value(reader, key)?.0;
    reader.problem(line, section.at(key), format!("is {value}, not from {least} to {most}"));
    None
}

/// `value` as a table.
pub(crate) fn table<'a, 't>(
    reader: &mut Reader<'_>,
    line: usize,
    at: String,
    value: Value<'a, 't>,
) -> Option<Section<'a, 't>> {
    if let DeValue::Table(inner) = value.get_ref() {
        return Some(Section::new(at, inner, line));
    }
    reader.problem(line, at, format!("is {}, not a table", kind(value)));
    None
}

/// `value` as a string that is parsed further.
pub(crate) fn parse<T: FromStr<Err: Display>>(
    reader: &mut Reader<'_>,
    line: usize,
    at: &str,
    value: Value<'_, '_>,
) -> Option<T> {
    let DeValue::String(text) = value.get_ref() else {
        reader.problem(line, at, format!("is {}, not a string", kind(value)));
        return None;
    };
    text.parse().map_err(|error: T::Err| reader.problem(line, at, error)).ok()
}

pub(crate) fn integer(value: Value<'_, '_>) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

/// What a value is, for messages.
pub(crate) fn kind(value: Value<'_, '_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Text short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The candidate that a typing error away from `word`, if one is: at most a third of its letters differ.
pub(crate) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let distances = candidates.map(|candidate| (distance(word, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    (distance <= (candidate.len() / 3).max(1)).then_some(candidate)
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

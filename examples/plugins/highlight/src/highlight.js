// One pass over the code: at each place the language's rules are asked in order, and the first that fits says how far
// its piece goes. What no rule knows is text.
//
// A stranger wrote the code, so nothing here may take more time than the code is long. Rules look for their end by
// `indexOf` or by expressions without nested repetition, and an end that is missing makes the rest one piece.

import { Html } from "./html.js";
import { LANGUAGES } from "./languages.js";

// A word in any script. The engine has no Unicode classes, so all beyond ASCII passes as a letter.
const WORD = /[A-Za-z_$\x80-\uffff][\w$\x80-\uffff]*/y;
const WORD_START = /[A-Za-z_$\x80-\uffff]/;
const SPACE = /\s+/y;
const SPACE_START = /\s/;

const BY_NAME = new Map();
// For each language, what can begin with a character that has been met.
const STARTS = new Map();
for (const language of LANGUAGES) {
  STARTS.set(language, new Map());
  for (const name of [language.name, ...(language.aliases ?? [])]) {
    BY_NAME.set(name, language);
  }
}

// The names of all languages, sorted.
export function names() {
  return LANGUAGES.map((language) => language.name).sort();
}

// The language of this name, in any case. None: undefined.
export function languageNamed(name) {
  return BY_NAME.get(name.toLowerCase());
}

// The code as HTML.
export function highlight(text, language) {
  const code = text.replace(/\r\n?/g, "\n");
  const html = new Html(code);
  // What stands before, white space aside: the end of the last piece and its kind.
  const before = { at: 0, kind: null };
  let at = 0;
  const starts = STARTS.get(language);
  while (at < code.length) {
    const start = startOf(language, starts, code[at]);
    if (start.space) {
      at = matched(SPACE, code, at);
      html.upTo(at, null);
      continue;
    }
    const { end, kind } = piece(code, at, language, before, start);
    html.upTo(end, kind);
    before.at = end;
    before.kind = kind;
    at = end;
  }
  return html.finish(language.name);
}

// The piece that begins here: where it ends, and its kind.
function piece(code, at, language, before, start) {
  for (const rule of start.rules) {
    const found = rule(code, at, before);
    if (found !== undefined) {
      return found;
    }
  }
  if (!start.word) {
    return { end: at + 1, kind: null };
  }
  const end = matched(WORD, code, at);
  return { end, kind: language.words(code.slice(at, end), code, end) };
}

// What can begin with a character. All beyond ASCII are alike but for white space, and are not remembered.
function startOf(language, starts, character) {
  const known = starts.get(character);
  if (known !== undefined) {
    return known;
  }
  const start = {
    space: SPACE_START.test(character),
    word: language.words !== undefined && WORD_START.test(character),
    rules: (language.rules ?? []).filter((rule) => rule.first === undefined || rule.first.includes(character)),
  };
  if (character < "\x80") {
    starts.set(character, start);
  }
  return start;
}

// Where a sticky expression that begins here ends, or `at` if it does not fit.
function matched(expression, code, at) {
  expression.lastIndex = at;
  return expression.test(code) ? expression.lastIndex : at;
}

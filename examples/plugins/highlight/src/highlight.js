// One pass over the code: at each place the language's rules are asked in order, and the first that fits says how far
// its piece goes. What no rule knows is text.
//
// A stranger wrote the code, so nothing here may take more time than the code is long. Rules look for their end by
// `indexOf` or by expressions without nested repetition, and an end that is missing makes the rest one piece.

import { Html } from "./html.js";
import { LANGUAGES } from "./languages.js";

// A word in any script. The engine has no Unicode classes, so all beyond ASCII passes as a letter.
const WORD = /[A-Za-z_$\x80-\uffff][\w$\x80-\uffff]*/y;
const SPACE = /\s+/y;

const BY_NAME = new Map();
for (const language of LANGUAGES) {
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
  while (at < code.length) {
    const space = matched(SPACE, code, at);
    if (space > at) {
      html.upTo(space, null);
      at = space;
      continue;
    }
    const { end, kind } = piece(code, at, language, before);
    html.upTo(end, kind);
    before.at = end;
    before.kind = kind;
    at = end;
  }
  return html.finish(language.name);
}

// The piece that begins here: where it ends, and its kind.
function piece(code, at, language, before) {
  for (const rule of language.rules ?? []) {
    const found = rule(code, at, before);
    if (found !== undefined) {
      return found;
    }
  }
  const end = language.words === undefined ? at : matched(WORD, code, at);
  return end > at ? { end, kind: language.words(code.slice(at, end), code, end) } : { end: at + 1, kind: null };
}

// Where a sticky expression that begins here ends, or `at` if it does not fit.
function matched(expression, code, at) {
  expression.lastIndex = at;
  return expression.test(code) ? expression.lastIndex : at;
}

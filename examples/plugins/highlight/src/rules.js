// What languages are made of. A rule takes the code, a place in it and what stands before, and gives the end and kind of
// the piece that begins there, or nothing. It has the characters that it can begin with, so that it is not asked elsewhere:
// hosts run this in an interpreter, and code can be one piece after another.

export const DIGITS = "0123456789";
export const LOWER = "abcdefghijklmnopqrstuvwxyz";
export const LETTERS = LOWER + LOWER.toUpperCase() + "_";

// A rule, and the characters that it can begin with.
export function starting(first, rule) {
  return Object.assign(rule, { first });
}

// What fits a sticky expression. Expressions must not repeat what repeats.
export function pattern(kind, first, expression) {
  return starting(first, (code, at) => {
    expression.lastIndex = at;
    return expression.test(code) ? { end: expression.lastIndex, kind } : undefined;
  });
}

// From one text to another, or to the end.
export function between(kind, open, close) {
  return starting(open[0], (code, at) => {
    if (!code.startsWith(open, at)) {
      return undefined;
    }
    const found = code.indexOf(close, at + open.length);
    return { end: found < 0 ? code.length : found + close.length, kind };
  });
}

// From a text to the end of the line.
export function line(kind, open) {
  return starting(open[0], (code, at) => (code.startsWith(open, at) ? { end: endOfLine(code, at), kind } : undefined));
}

// A comment that may have others of its kind inside.
export function nested(kind, open, close) {
  return starting(open[0], (code, at) => {
    if (!code.startsWith(open, at)) {
      return undefined;
    }
    let depth = 1;
    let end = at + open.length;
    while (end < code.length && depth > 0) {
      if (code.startsWith(open, end)) {
        depth += 1;
        end += open.length;
      } else if (code.startsWith(close, end)) {
        depth -= 1;
        end += close.length;
      } else {
        end += 1;
      }
    }
    return { end, kind };
  });
}

// Text in quotes, behind some of the letters in `prefix` if there is one. `escape` makes the next character plain; where `lines` is
// false, the end of the line ends it too.
export function quoted(quote, { prefix = "", escape = "\\", lines = false, kind = "string" } = {}) {
  return starting(quote[0] + prefix, (code, at) => {
    let end = at;
    while (end < at + 2 && prefix.includes(code[end] ?? " ")) {
      end += 1;
    }
    if (!code.startsWith(quote, end)) {
      return undefined;
    }
    end += quote.length;
    while (end < code.length && !code.startsWith(quote, end)) {
      if (code[end] === "\n" && !lines) {
        return { end, kind };
      }
      end += escape !== null && code[end] === escape ? 2 : 1;
    }
    return { end: Math.min(end + quote.length, code.length), kind };
  });
}

export const number = pattern(
  "number",
  DIGITS,
  /(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d[\d_]*)?)[a-zA-Z]?\w*/y,
);

// The kinds of words: those of each list, a name with a capital letter as a type, and a name before `(` as a function.
export function words({ keywords, literals = "", types = "", capitals = "type", functions = true }) {
  const kinds = new Map();
  for (const [kind, list] of [["type", types], ["literal", literals], ["keyword", keywords]]) {
    for (const word of list.split(" ").filter((word) => word !== "")) {
      kinds.set(word, kind);
    }
  }
  return (word, code, end) => {
    const kind = kinds.get(word);
    if (kind !== undefined) {
      return kind;
    }
    if (functions && code[end] === "(") {
      return "function";
    }
    return capitals !== null && /^[A-Z]/.test(word) ? capitals : null;
  };
}

export function endOfLine(code, at) {
  const found = code.indexOf("\n", at);
  return found < 0 ? code.length : found;
}

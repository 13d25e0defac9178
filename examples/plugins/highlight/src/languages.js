// The languages.

import { between, endOfLine, line, nested, number, pattern, quoted, words } from "./rules.js";
import { tag } from "./markup.js";

const bash = {
  name: "bash",
  aliases: ["sh", "shell", "zsh"],
  rules: [
    // A `#` inside a word is a part of it.
    (code, at) => (code[at] === "#" && /^[\s;(]?$/.test(code[at - 1] ?? "") ? { end: endOfLine(code, at), kind: "comment" } : undefined),
    quoted('"', { lines: true }),
    quoted("'", { escape: null, lines: true }),
    pattern("variable", /\$(?:\w+|\{[^}\n]*\}|[@*#?$!-])/y),
    (code, at) => (/^\s?$/.test(code[at - 1] ?? "") ? pattern("attribute", /--?[A-Za-z][\w-]*/y)(code, at) : undefined),
    number,
  ],
  words: words({
    keywords: "case do done elif else esac export fi for function if in local return select set then until while",
    capitals: null,
    functions: false,
  }),
};

const html = {
  name: "html",
  aliases: ["htm", "svg", "xml"],
  rules: [between("comment", "<!--", "-->"), between("keyword", "<!", ">"), between("keyword", "<?", ">"), tag, pattern("literal", /&#?\w+;/y)],
};

// The longest regular expression that is looked for: a `/` without an end must not make all that follows be read again.
const LONGEST_EXPRESSION = 400;

// After these a `/` begins a regular expression; after a name, a number or a closing bracket it divides.
function expression(code, at, before) {
  const previous = code[before.at - 1] ?? "";
  const value = before.kind === "keyword" ? /[)\]}]/ : /[\w$)\]}"'`\x80-\uffff]/;
  if (code[at] !== "/" || value.test(previous)) {
    return undefined;
  }
  let inClass = false;
  const limit = Math.min(code.length, at + LONGEST_EXPRESSION);
  for (let end = at + 1; end < limit && code[end] !== "\n"; end++) {
    if (code[end] === "\\") {
      end += 1;
    } else if (code[end] === "[") {
      inClass = true;
    } else if (code[end] === "]") {
      inClass = false;
    } else if (code[end] === "/" && !inClass) {
      return pattern("regexp", /\w*/y)(code, end + 1);
    }
  }
  return undefined;
}

const scriptRules = [
  line("comment", "//"),
  between("comment", "/*", "*/"),
  quoted('"'),
  quoted("'"),
  quoted("`", { lines: true }),
  expression,
  pattern("meta", /@\w+/y),
  number,
];
const scriptKeywords =
  "async await break case catch class const continue debugger default delete do else export extends finally for from " +
  "function get if import in instanceof let new of return set static super switch this throw try typeof var void while with yield";
const scriptLiterals = "true false null undefined NaN Infinity";

const javascript = {
  name: "javascript",
  aliases: ["js", "mjs", "cjs"],
  rules: scriptRules,
  words: words({ keywords: scriptKeywords, literals: scriptLiterals }),
};

const typescript = {
  name: "typescript",
  aliases: ["ts", "mts", "cts"],
  rules: scriptRules,
  words: words({
    keywords:
      scriptKeywords + " abstract as asserts declare enum implements infer interface is keyof namespace override private " +
      "protected public readonly satisfies type unique",
    literals: scriptLiterals,
    types: "any bigint boolean never number object string symbol unknown",
  }),
};

// A text before a colon is a key.
function jsonText(code, at) {
  const found = quoted('"')(code, at);
  return found && /:/.test(code[pattern("", /\s*/y)(code, found.end).end] ?? "") ? { ...found, kind: "attribute" } : found;
}

const json = {
  name: "json",
  aliases: ["jsonc"],
  rules: [line("comment", "//"), between("comment", "/*", "*/"), jsonText, number],
  words: words({ keywords: "", literals: "true false null", capitals: null, functions: false }),
};

const pythonPrefix = { prefix: /[rRbBfFuU]{1,2}/y };

const python = {
  name: "python",
  aliases: ["py", "python3"],
  rules: [
    line("comment", "#"),
    quoted('"""', { ...pythonPrefix, lines: true }),
    quoted("'''", { ...pythonPrefix, lines: true }),
    quoted('"', pythonPrefix),
    quoted("'", pythonPrefix),
    pattern("meta", /@[\w.]+/y),
    number,
  ],
  words: words({
    keywords:
      "and as assert async await break case class continue def del elif else except finally for from global if import in " +
      "is lambda match nonlocal not or pass raise return try while with yield",
    literals: "True False None",
    types: "bool bytes dict float int list object set str tuple",
  }),
};

// `r#"…"#`: as many `#` behind as before.
function rawText(code, at) {
  const open = /b?r(#*)"/y;
  open.lastIndex = at;
  const found = open.exec(code);
  return found === null ? undefined : between("string", found[0], `"${found[1]}`)(code, at);
}

const rust = {
  name: "rust",
  aliases: ["rs"],
  rules: [
    line("comment", "//"),
    nested("comment", "/*", "*/"),
    rawText,
    quoted('"', { prefix: /b|c/y, lines: true }),
    pattern("string", /b?'(?:\\[^'\n]{1,12}|\\'|[^\\'\n][\udc00-\udfff]?)'/y),
    pattern("variable", /'[a-z_]\w*/y),
    pattern("meta", /#!?\[[^\]\n]{0,200}\]/y),
    pattern("function", /[a-z_]\w*!(?!=)/y),
    number,
  ],
  words: words({
    keywords:
      "as async await break const continue crate dyn else enum extern fn for if impl in let loop match mod move mut pub ref " +
      "return self static struct super trait type union unsafe use where while",
    literals: "true false",
    types:
      "Self bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize",
  }),
};

const toml = {
  name: "toml",
  rules: [
    line("comment", "#"),
    quoted('"""', { lines: true }),
    quoted("'''", { escape: null, lines: true }),
    (code, at, before) => {
      const key = pattern("attribute", /(?:[\w-]+|"[^"\n]{0,200}")(?:\.(?:[\w-]+|"[^"\n]{0,200}"))*(?=[ \t]{0,40}=)/y);
      return before.at === 0 || /[\n{,]/.test(code.slice(before.at, at) + code[before.at - 1]) ? key(code, at) : undefined;
    },
    (code, at) => (at === 0 || code[at - 1] === "\n" ? pattern("type", /\[\[?[^\]\n]{0,200}\]\]?/y)(code, at) : undefined),
    quoted('"'),
    quoted("'", { escape: null }),
    pattern("number", /\d{4}-\d\d-\d\d(?:[T ][\d:.]{1,20}(?:Z|[+-]\d\d:\d\d)?)?/y),
    number,
  ],
  words: words({ keywords: "", literals: "true false inf nan", capitals: null, functions: false }),
};

const wit = {
  name: "wit",
  rules: [
    line("comment", "//"),
    nested("comment", "/*", "*/"),
    pattern("meta", /@\w+/y),
    pattern("type", /[a-z][a-z\d-]*:[a-z][\w/-]*(?:@[\d.]+)?/y),
    pattern("attribute", /%?[a-z][a-z\d-]*(?=: )/y),
    number,
    pattern("keyword", /(?:constructor|enum|export|flags|func|import|include|interface|package|record|resource|static|type|use|variant|with|world|as|async|from)(?![\w-])/y),
    pattern("type", /(?:bool|borrow|char|f32|f64|future|list|option|own|result|s8|s16|s32|s64|stream|string|tuple|u8|u16|u32|u64)(?![\w-])/y),
    pattern(null, /%?[a-z][a-z\d-]*/y),
  ],
};

const text = { name: "text", aliases: ["", "plain", "txt"] };

export const LANGUAGES = [bash, html, javascript, json, python, rust, text, toml, typescript, wit];

// The languages.

import { DIGITS, LETTERS, LOWER, between, endOfLine, line, nested, number, pattern, quoted, starting, words } from "./rules.js";
import { tag } from "./markup.js";

const bashOption = pattern("attribute", "-", /--?[A-Za-z][\w-]*/y);

const bash = {
  name: "bash",
  aliases: ["sh", "shell", "zsh"],
  rules: [
    // A `#` inside a word is a part of it.
    starting("#", (code, at) => (/^[\s;(]?$/.test(code[at - 1] ?? "") ? { end: endOfLine(code, at), kind: "comment" } : undefined)),
    quoted('"', { lines: true }),
    quoted("'", { escape: null, lines: true }),
    pattern("variable", "$", /\$(?:\w+|\{[^}\n]*\}|[@*#?$!-])/y),
    starting("-", (code, at) => (/^\s?$/.test(code[at - 1] ?? "") ? bashOption(code, at) : undefined)),
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
  rules: [between("comment", "<!--", "-->"), between("keyword", "<!", ">"), between("keyword", "<?", ">"), tag, pattern("literal", "&", /&#?\w+;/y)],
};

// The longest regular expression that is looked for: a `/` without an end must not make all that follows be read again.
const LONGEST_EXPRESSION = 200;

// Its parts exclude each other, so it is read once. In a class, a `/` does not end it.
const EXPRESSION = /^\/(?:[^\n\\[\/]|\\[^\n]|\[(?:[^\n\\\]]|\\[^\n])*\])+\/\w*/;

// A `/` begins a regular expression, but after a name, a number or a closing bracket it divides.
function expression(code, at, before) {
  const previous = code[before.at - 1] ?? "";
  const value = before.kind === "keyword" ? /[)\]}]/ : /[\w$)\]}"'`\x80-\uffff]/;
  if (value.test(previous)) {
    return undefined;
  }
  const found = EXPRESSION.exec(code.slice(at, at + LONGEST_EXPRESSION));
  return found === null ? undefined : { end: at + found[0].length, kind: "regexp" };
}

const scriptRules = [
  line("comment", "//"),
  between("comment", "/*", "*/"),
  quoted('"'),
  quoted("'"),
  quoted("`", { lines: true }),
  starting("/", expression),
  pattern("meta", "@", /@\w+/y),
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

const anyText = quoted('"');
const colon = pattern(null, "", /\s*:/y);

// A text before a colon is a key.
function jsonText(code, at) {
  const found = anyText(code, at);
  return found && colon(code, found.end) ? { ...found, kind: "attribute" } : found;
}

const json = {
  name: "json",
  aliases: ["jsonc"],
  rules: [line("comment", "//"), between("comment", "/*", "*/"), starting('"', jsonText), number],
  words: words({ keywords: "", literals: "true false null", capitals: null, functions: false }),
};

const pythonPrefix = { prefix: "rRbBfFuU" };

const python = {
  name: "python",
  aliases: ["py", "python3"],
  rules: [
    line("comment", "#"),
    quoted('"""', { ...pythonPrefix, lines: true }),
    quoted("'''", { ...pythonPrefix, lines: true }),
    quoted('"', pythonPrefix),
    quoted("'", pythonPrefix),
    pattern("meta", "@", /@[\w.]+/y),
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
    starting("br", rawText),
    quoted('"', { prefix: "bc", lines: true }),
    pattern("string", "b'", /b?'(?:\\[^'\n]{1,12}|\\'|[^\\'\n][\udc00-\udfff]?)'/y),
    pattern("variable", "'", /'[a-z_]\w*/y),
    pattern("meta", "#", /#!?\[[^\]\n]{0,200}\]/y),
    pattern("function", LOWER + "_", /[a-z_]\w*!(?!=)/y),
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

const tomlKeyName = pattern(
  "attribute",
  "",
  /(?:[\w-]+|"[^"\n]{0,200}")(?:\.(?:[\w-]+|"[^"\n]{0,200}"))*(?=[ \t]{0,40}=)/y,
);
const tomlTable = pattern("type", "[", /\[\[?[^\]\n]{0,200}\]\]?/y);

// A key stands at the beginning of a line, or inside an inline table.
function tomlKey(code, at, before) {
  const begins = before.at === 0 || /[{,]/.test(code[before.at - 1]) || code.slice(before.at, at).includes("\n");
  return begins || code[at - 1] === "\n" ? tomlKeyName(code, at) : undefined;
}

const toml = {
  name: "toml",
  rules: [
    line("comment", "#"),
    quoted('"""', { lines: true }),
    quoted("'''", { escape: null, lines: true }),
    starting(`${LETTERS}${DIGITS}-"`, tomlKey),
    starting("[", (code, at) => (at === 0 || code[at - 1] === "\n" ? tomlTable(code, at) : undefined)),
    quoted('"'),
    quoted("'", { escape: null }),
    pattern("number", DIGITS, /\d{4}-\d\d-\d\d(?:[T ][\d:.]{1,20}(?:Z|[+-]\d\d:\d\d)?)?/y),
    number,
  ],
  words: words({ keywords: "", literals: "true false inf nan", capitals: null, functions: false }),
};

const wit = {
  name: "wit",
  rules: [
    line("comment", "//"),
    nested("comment", "/*", "*/"),
    pattern("meta", "@", /@\w+/y),
    pattern("type", LOWER, /[a-z][a-z\d-]*:[a-z][\w/-]*(?:@[\d.]+)?/y),
    pattern("attribute", LOWER + "%", /%?[a-z][a-z\d-]*(?=: )/y),
    number,
    pattern("keyword", LOWER, /(?:constructor|enum|export|flags|func|import|include|interface|package|record|resource|static|type|use|variant|with|world|as|async|from)(?![\w-])/y),
    pattern("type", LOWER, /(?:bool|borrow|char|f32|f64|future|list|option|own|result|s8|s16|s32|s64|stream|string|tuple|u8|u16|u32|u64)(?![\w-])/y),
    pattern(null, LOWER + "%", /%?[a-z][a-z\d-]*/y),
  ],
};

const text = { name: "text", aliases: ["", "plain", "txt"] };

export const LANGUAGES = [bash, html, javascript, json, python, rust, text, toml, typescript, wit];

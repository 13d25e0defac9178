// The highlighter in JavaScript alone; the built component is tested where plugins are published.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { highlight, languageNamed, names } from "../src/highlight.js";
import { MAX_BYTES, code } from "../src/plugin.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

// What is between `<code>` and `</code>`.
function inner(html) {
  const found = /^<pre class="highlight"><code class="language-[a-z]+">([^]*)<\/code><\/pre>$/.exec(html);
  assert.ok(found, html.slice(0, 200));
  return found[1];
}

// The text that a browser shows.
function shown(html) {
  return inner(html).replace(/<[^>]*>/g, "").replace(/&\w+;|&#39;/g, (entity) => ENTITIES[entity]);
}

// The pieces that have a kind, as `kind:text`.
function pieces(text, name) {
  const html = inner(highlight(text, languageNamed(name)));
  const unescape = (part) => part.replace(/&\w+;|&#39;/g, (entity) => ENTITIES[entity]);
  return [...html.matchAll(/<span class="hl-(\w+)">([^<]*)<\/span>/g)].map(([, kind, part]) => `${kind}:${unescape(part)}`);
}

const SAMPLES = {
  bash: ['for f in "$@"; do # all\n  cp -r a#b $f', ["keyword:for", "keyword:in", 'string:"$@"', "keyword:do", "comment:# all", "attribute:-r", "variable:$f"]],
  html: ['<!-- c --><a href="x>y" b=1>t &amp; u</a>', ["comment:<!-- c -->", "tag:<a", "attribute:href", 'string:"x>y"', "attribute:b", "string:1", "tag:>", "literal:&amp;", "tag:</a>"]],
  javascript: ["const a = /[/\"]+/g.test(b) / 2; // x", ["keyword:const", 'regexp:/[/"]+/g', "function:test", "number:2", "comment:// x"]],
  json: ['{"a": ["b", 1.5e3, null]}', ['attribute:"a"', 'string:"b"', "number:1.5e3", "literal:null"]],
  python: ['@cache\ndef f(x: int = 0x1F):\n    """d\n"c" """\n    return rb\'\\\'\'', ["meta:@cache", "keyword:def", "function:f", "type:int", "number:0x1F", 'string:"""d\n"c" """', "keyword:return", "string:rb'\\''"]],
  rust: ["#[test]\nfn f<'a>(c: char) -> Vec<u8> { x!('\\''); r#\"a\"b\"# /* /* */ */ }", ["meta:#[test]", "keyword:fn", "variable:'a", "type:char", "type:Vec", "type:u8", "function:x!", "string:'\\''", 'string:r#"a"b"#', "comment:/* /* */ */"]],
  toml: ['[a.b]\nk-1.x = "v" # c\non = true\nat = 2026-01-02T03:04:05Z', ["type:[a.b]", "attribute:k-1.x", 'string:"v"', "comment:# c", "attribute:on", "literal:true", "attribute:at", "number:2026-01-02T03:04:05Z"]],
  typescript: ["type A = readonly string[] | `t${x}\n`;", ["keyword:type", "type:A", "keyword:readonly", "type:string", "string:`t${x}\n`"]],
  wit: ["package a:b@1.0.0;\nf: func(x: list<u8>) -> string; // c", ["keyword:package", "type:a:b@1.0.0", "attribute:f", "keyword:func", "attribute:x", "type:list", "type:u8", "type:string", "comment:// c"]],
  text: ["if 1 < 2", []],
};

for (const [name, [text, expected]] of Object.entries(SAMPLES)) {
  test(`the kinds of ${name} are found`, () => assert.deepEqual(pieces(text, name), expected));
}

test("there is a sample of every language", () => assert.deepEqual(Object.keys(SAMPLES).sort(), names()));

test("the readme names every language and every kind, and its example holds", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  for (const name of names()) {
    assert.ok(readme.includes(`\`${name}\``), name);
  }
  const kinds = new Set(Object.entries(SAMPLES).flatMap(([name, [text]]) => pieces(text, name).map((piece) => piece.split(":")[0])));
  for (const kind of kinds) {
    assert.ok(readme.includes(`\`hl-${kind}\``), kind);
  }
  const [, html] = /```html\n([^]*?)\n```/.exec(readme);
  assert.equal(highlight("let x = 1; // one", languageNamed("js")), html);
});

test("a language has its other names, in any case", () => {
  for (const [name, other] of [["javascript", "JS"], ["rust", "rs"], ["bash", "Shell"], ["text", ""]]) {
    assert.equal(languageNamed(other).name, name);
  }
});

test("an unknown language and a name of every object are refused", () => {
  for (const name of ["cobol", "constructor", "__proto__", "<b>"]) {
    assert.throws(() => code.highlight("x", name), (thrown) => thrown.tag === "unknown-language", name);
  }
});

test("code at the limit is marked, and one byte more is refused with the limit", () => {
  assert.equal(shown(code.highlight("\u20ac".repeat(10_922) + "aa", "text")).length, 10_924);
  for (const text of ["a".repeat(MAX_BYTES + 1), "\u20ac".repeat(10_923), "\u{1f600}".repeat(8_192) + "a"]) {
    assert.throws(() => code.highlight(text, "text"), (thrown) => thrown.tag === "too-long" && thrown.val === 32_768);
  }
});

test("hostile code comes out as text in every language", () => {
  const hostile = "</code></pre><script>alert(1)</script>\"' onload=x & &lt; <!-- <a b='\"<script>";
  for (const name of names()) {
    const html = highlight(hostile, languageNamed(name));
    assert.equal(shown(html), hostile, name);
    assert.equal(inner(html).replace(/<span class="hl-\w+">|<\/span>/g, "").search(/[<>"']/), -1, name);
  }
});

test("characters that turn the direction are shown by their number, and control characters are replaced", () => {
  assert.equal(
    inner(highlight("a\u202eb\0\x1bc\r\nd\re", languageNamed("text"))),
    'a<span class="hl-hidden">U+202E</span>b\ufffd\ufffdc\nd\ne',
  );
});

// Code that is made of the beginnings and ends that rules look for, the same at every run.
function* scrambled() {
  const parts = ["/*", "*/", "//", "\n", '"', "'", "`", "\\", "#", "r#\"", '"#', "<", ">", "<!--", "=", "1", "x", "fn", " ", "{", "}", "[", "]", "/", ":", ".", "$", "-", "@", '"""', "&", "\u00e9", "\u{1f600}", "if"];
  let state = 1;
  for (let round = 0; round < 300; round++) {
    let text = "";
    for (let length = 0; length < 40; length++) {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      text += parts[(state >> 8) % parts.length];
    }
    yield text;
  }
}

test("no code loses or gains a character, in any language", () => {
  for (const text of scrambled()) {
    for (const name of names()) {
      assert.equal(shown(highlight(text, languageNamed(name))), text, name);
    }
  }
});

const REPEATED = ["/[ ", "'", '"', "/* ", "<a ", "<!", "&", "1,", "1\n", '1""', "a=", "a.", "r#", "$a'", "\\", "`${", "{", "\u202e", "if\n", "'a'1", "#[", '""1', "//\n1", "<", "a:", "a-", "-a ", "@a1", "@a\n", "$1\n"];

test("no code grows thirtyfold", () => {
  for (const text of [...REPEATED, ...scrambled()].map((text) => text.repeat(100))) {
    for (const name of names()) {
      const html = highlight(text, languageNamed(name));
      assert.ok(Buffer.byteLength(html) < 30 * Buffer.byteLength(text) + 100, `${name}: ${JSON.stringify(text.slice(0, 9))}`);
    }
  }
});

test("beginnings without an end are read once", () => {
  // Read over and over, each of these would take minutes.
  for (const text of REPEATED.map((text) => text.repeat(MAX_BYTES / text.length))) {
    for (const name of names()) {
      highlight(text, languageNamed(name));
    }
  }
});

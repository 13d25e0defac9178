// Tags of HTML and XML.

const NAME = /<\/?[A-Za-z][\w:.-]*/y;
const ATTRIBUTE = /[^\s"'<>\/=]+/y;

// Inside a tag each piece is a rule's answer of its own: the name with its bracket, attributes, values, the end. `before`
// remembers whether a tag is open. Attributes can begin with anything, so this rule is asked everywhere.
export function tag(code, at, before) {
  NAME.lastIndex = at;
  if (NAME.test(code)) {
    before.inTag = true;
    return { end: NAME.lastIndex, kind: "tag" };
  }
  if (!before.inTag) {
    return undefined;
  }
  if (code[at] === ">" || code.startsWith("/>", at)) {
    before.inTag = false;
    return { end: at + (code[at] === ">" ? 1 : 2), kind: "tag" };
  }
  if (code[at] === '"' || code[at] === "'") {
    const close = code.indexOf(code[at], at + 1);
    return { end: close < 0 ? code.length : close + 1, kind: "string" };
  }
  ATTRIBUTE.lastIndex = at;
  if (ATTRIBUTE.test(code)) {
    return { end: ATTRIBUTE.lastIndex, kind: code[before.at - 1] === "=" ? "string" : "attribute" };
  }
  return undefined;
}

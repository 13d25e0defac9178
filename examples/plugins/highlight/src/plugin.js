// `demo:highlight`: connects the highlighter to the interface `demo:highlight/code`.

import { highlight, languageNamed, names } from "./highlight.js";

// The longest code that is marked. The worst of that length takes a third of the time that hosts give by default, and its
// HTML fits into what they let across in one call, 2 MiB: no code grows thirtyfold (a test looks for one that does).
export const MAX_BYTES = 32 * 1024;

export const code = {
  highlight(text, name) {
    if (bytes(text) > MAX_BYTES) {
      throw { tag: "too-long", val: MAX_BYTES };
    }
    const language = languageNamed(name);
    if (language === undefined) {
      throw { tag: "unknown-language" };
    }
    return highlight(text, language);
  },

  languages() {
    return names();
  },
};

// The length in UTF-8. A character outside the basic plane is two units here, and four bytes.
function bytes(text) {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    count += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return count;
}

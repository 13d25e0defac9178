// Pieces of code in, HTML out. The only place that writes HTML.

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

// Characters that turn the direction of what follows: with them, code can be shown in another order than it runs in.
const HIDDEN = /[\u202a-\u202e\u2066-\u2069]/g;

// Anything that can not stay as it is. Most pieces are short and have nothing of it.
const SPECIAL = /[&<>"'\0-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]/;

function escaped(text) {
  if (!SPECIAL.test(text)) {
    return text;
  }
  return (
    text
      .replace(/[&<>"']/g, (character) => ESCAPES[character])
      // What no HTML may have.
      .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, "\ufffd")
      .replace(HIDDEN, (character) => {
        const code = character.charCodeAt(0).toString(16).toUpperCase();
        return `<span class="hl-hidden">U+${code}</span>`;
      })
  );
}

// Collects pieces and writes each run of one kind as one `<span>`.
export class Html {
  #parts = [];
  #kind = null;
  #from = 0;
  #to = 0;
  #code;

  constructor(code) {
    this.#code = code;
  }

  // The code up to `to` is of this kind, or of none.
  upTo(to, kind) {
    if (kind !== this.#kind) {
      this.#write();
      this.#kind = kind;
    }
    this.#to = to;
  }

  #write() {
    const text = escaped(this.#code.slice(this.#from, this.#to));
    if (text !== "") {
      this.#parts.push(this.#kind === null ? text : `<span class="hl-${this.#kind}">${text}</span>`);
    }
    this.#from = this.#to;
  }

  // All of it. The language's name is one of ours, so it needs no escaping.
  finish(language) {
    this.#write();
    return `<pre class="highlight"><code class="language-${language}">${this.#parts.join("")}</code></pre>`;
  }
}

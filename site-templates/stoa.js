// Two comforts: a filter on the front page and copy buttons. Pages are whole without them.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);

  const filter = () => {
    const form = $('filter'), input = $('words'), list = $('all');
    if (!form || !list) return;
    const cards = [...list.children].map((card) => [card, card.textContent.toLowerCase()]);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [card, text] of cards) {
        card.hidden = !words.every((word) => text.includes(word));
        shown += !card.hidden;
      }
      $('count').textContent = words.length ? `${shown} of ${cards.length}` : cards.length;
      $('none').hidden = shown > 0;
      const url = new URL(location);
      if (words.length) url.searchParams.set('q', input.value.trim());
      else url.searchParams.delete('q');
      history.replaceState(null, '', url);
    };
    form.hidden = false;
    form.addEventListener('submit', (event) => event.preventDefault());
    input.addEventListener('input', show);
    document.addEventListener('keydown', (event) => {
      const typing = /^(input|textarea|select)$/i.test(event.target.tagName) || event.target.isContentEditable;
      if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        input.focus();
      } else if (event.key === 'Escape' && event.target === input && input.value) {
        input.value = '';
        show();
      }
    });
    const asked = new URLSearchParams(location.search).get('q');
    if (asked) {
      input.value = asked;
      show();
    }
  };

  const copies = () => {
    if (!navigator.clipboard) return;
    const said = document.createElement('p');
    said.className = 'unseen';
    said.setAttribute('role', 'status');
    document.body.append(said);
    for (const place of document.querySelectorAll('[data-copy]')) {
      const button = document.createElement('button');
      const what = place.dataset.label || 'code';
      button.type = 'button';
      button.className = 'copy';
      button.textContent = 'Copy';
      button.setAttribute('aria-label', `Copy ${what}`);
      button.addEventListener('click', async () => {
        try {
          await navigator.clipboard.writeText(place.dataset.copy || place.textContent);
          button.textContent = 'Copied';
          said.textContent = `Copied ${what}`;
        } catch {
          button.textContent = 'Not copied';
        }
        setTimeout(() => { button.textContent = 'Copy'; }, 1600);
      });
      if (place.tagName === 'PRE') {
        const frame = document.createElement('div');
        frame.className = 'frame';
        place.replaceWith(frame);
        frame.append(place, button);
      } else {
        place.after(button);
      }
    }
  };

  filter();
  copies();
})();

"""The style and the script of board.html: inside the page, so that it works from disk and loads nothing."""

STYLE = """
:root { color-scheme: light dark; --good: #2f9e6e; --back: #fff;
  --line: color-mix(in srgb, currentColor 18%, transparent) }
@media (prefers-color-scheme: dark) { :root { --back: #121212 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--back) }
h2 { margin: 2.5rem 0 .5rem }
.wide { overflow-x: auto }
.wide:focus-visible { outline: 2px solid var(--good) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
thead th { font-weight: 600; vertical-align: bottom; white-space: normal }
.heat thead th { font-size: 13px }
.heat th, .heat td { padding: .2rem .5rem }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-align: inherit; min-height: 24px }
thead button::after { content: "\\2195"; opacity: .45; padding-left: .3em }
[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1 }
[aria-sort=descending] button::after { content: "\\2193"; opacity: 1 }
tbody th, .name { text-align: left; font-weight: 600; position: sticky; left: 0; background: var(--back) }
.control { font-style: italic }
.control th { font-weight: 400 }
.bar { display: block }
.board wbr { display: none }
p { max-width: 48rem }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; list-style: none }
.key svg { width: 26px; height: 10px; margin-right: .4rem }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(158px, 1fr)); gap: 1rem }
figure { margin: 0 }
figure svg, figure img { width: 100% }
.cells { grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)) }
.cells img { border-bottom: 3px solid var(--good); box-sizing: border-box; display: block }
.cells .wrong img { border-bottom: 3px dashed currentColor }
figcaption { font-size: 13px; text-align: center; line-height: 1.25 }
@media (max-width: 480px) {
  body { margin-top: 1rem }
  th, td { padding: .3rem .5rem }
  tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 7rem }
  .board wbr { display: inline }
  .grid { grid-template-columns: 1fr 1fr }
  .cells { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .8rem .3rem }
  .cells figcaption { font-size: 12px; overflow-wrap: anywhere }
}
"""

SCRIPT = """
for (const table of document.querySelectorAll('table.sortable')) {
  table.querySelectorAll('thead th[data-sort]').forEach((head) => {
    const button = document.createElement('button');
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const body = table.tBodies[0], column = head.cellIndex;
      const down = head.ariaSort ? head.ariaSort === 'ascending' : head.dataset.sort === 'number';
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const number = (row) => key(row) === '' ? NaN : Number(key(row));
      const order = (a, b) => {
        if (head.dataset.sort === 'text') return (down ? -1 : 1) * key(a).localeCompare(key(b));
        if (isNaN(number(a)) || isNaN(number(b))) return isNaN(number(a)) - isNaN(number(b));
        return (down ? -1 : 1) * (number(a) - number(b));
      };
      body.append(...[...body.rows].sort(order));
      table.querySelectorAll('thead th').forEach((other) => other.removeAttribute('aria-sort'));
      head.ariaSort = down ? 'descending' : 'ascending';
    });
  });
}
"""

'use strict';
// One list of cells: those before `at` were met, the one at `at` is shown, those after it are fetched ahead.
const AHEAD = 24, DRAWN = 14, BEHIND = 40, TILE = 512, BATCH = 100;
const WORDS = ['not there', 'hardly', 'doubtful', 'likely', 'clear', 'certain'];
const VIEWS = [['p', 'protein'], ['c', 'colour'], ['f', 'four channels'], ['x', 'context']];
const SHOWN = ['the protein alone', 'microtubules red, protein green, nucleus blue',
  'microtubules red, protein green, nucleus blue, endoplasmic reticulum yellow', 'the neighbourhood, this cell outlined'];
const OUTBOX = 'hpa-outbox-';
const $ = (id) => document.getElementById(id);

let about, rater = localStorage.getItem('hpa-rater') || '', classId, list = [], at = 0, done = [], view = 0;
let reviewing = false, asking = null, ended = false, epoch = 0, streams = { scored: 0, found: 0 };

// -- talking to the server

async function get(path, values = {}) {
  const answer = await fetch(path + '?' + new URLSearchParams(values));
  return read(answer);
}

async function post(path, content) {
  const body = JSON.stringify(content);
  return read(await fetch(path, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } }));
}

async function read(answer) {
  if (answer.status === 401) location.assign('/login');
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const faults = Array.isArray(content.detail) ? content.detail.map((fault) => `${fault.loc.at(-1)}: ${fault.msg}`) : [];
  const said = faults.join('; ') || content.detail || `answer ${answer.status}`;
  throw Object.assign(new Error(said), { status: answer.status });
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is for https and loopback only
  bytes[6] = bytes[6] & 15 | 64;
  bytes[8] = bytes[8] & 63 | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

// What was pressed stays in the browser until the server has it, in one box a tab. Ids keep a second sending harmless.
const box = OUTBOX + newId();
let outbox = [], sending = false, refused = 0;

function adopt() {
  for (const key of Object.keys(localStorage).filter((key) => key.startsWith(OUTBOX))) {
    outbox.push(...JSON.parse(localStorage.getItem(key)));
    localStorage.removeItem(key);
  }
  keep();
}

function keep() {
  if (outbox.length) localStorage.setItem(box, JSON.stringify(outbox));
  else localStorage.removeItem(box);
  $('saved').textContent = outbox.length ? `${outbox.length} not saved yet` : 'all saved';
}

async function send() {
  if (sending) return;
  sending = true;
  let pause = 200, size = BATCH;
  while (outbox.length) {
    const part = outbox.slice(0, size);
    try {
      await post('/api/events', part);
      outbox.splice(0, part.length);
      pause = 200;
      if (!refused) $('refused').textContent = '';
    } catch (error) {
      if (error.status === 409 || error.status === 422) {
        if (part.length > 1) { size = 1; continue; } // one of them is refused: find out which
        refused += 1;
        $('refused').textContent = `${refused} not saved; the last: ${error.message}`;
        outbox.splice(0, 1);
      } else {
        $('refused').textContent = 'The server does not answer; your scores wait here.';
        await new Promise((wake) => setTimeout(wake, pause));
        pause = Math.min(2 * pause, 5000);
      }
    }
    keep();
  }
  sending = false;
}

function record(cell, change) {
  const { image_id, y, x, why } = cell;
  const event = { id: newId(), rater, image_id, y, x, class_id: classId, why, ...change };
  outbox.push(event);
  keep();
  send();
  return event;
}

// -- cells

function fetchPicture(cell) {
  if (cell.ready) return cell.ready;
  const image = new Image();
  image.src = cell.picture;
  cell.ready = image.decode().then(() => { cell.image = image; }, () => { cell.ready = null; throw new Error('no picture'); });
  cell.ready.catch(() => {});
  return cell.ready;
}

async function fill() {
  for (const cell of list.slice(at, at + DRAWN)) fetchPicture(cell);
  for (const cell of list.slice(0, Math.max(0, at - BEHIND))) cell.image = cell.ready = null;
  if (reviewing || asking || ended || list.length - at > AHEAD || !rater) return;
  const mine = epoch, held = list.slice(-400).map((cell) => [cell.image_id, cell.cell_id]);
  asking = post('/api/next', { rater, class_id: classId, count: AHEAD, held });
  try {
    const cells = await asking;
    if (mine !== epoch) return;
    ended = cells.length === 0;
    add(cells);
  } catch (error) {
    if (mine === epoch) setTimeout(fill, 1000);
    return;
  } finally {
    asking = null;
  }
  const waiting = !current() || !drawn;
  if (waiting) show();
  fill();
}

function add(cells) {
  list.push(...cells.map((cell) => ({ ...cell, image: null })));
}

const current = () => list[at];
let drawn = false;

function mark(value) {
  drawn = value;
  $('large').setAttribute('aria-busy', String(!value));
}

async function show() {
  const cell = current();
  mark(false);
  if (!cell) {
    describe(null);
    return;
  }
  if (!cell.image) {
    paint(null);
    try { await fetchPicture(cell); } catch { say('This picture could not be loaded; skip the cell or go back.'); return; }
    if (cell !== current()) return;
  }
  paint(cell.image);
  describe(cell);
  mark(true);
}

function paint(image) {
  const canvases = [$('large'), ...document.querySelectorAll('#views canvas')];
  canvases.forEach((canvas, place) => {
    const tile = place ? place - 1 : view, pen = canvas.getContext('2d');
    if (image) pen.drawImage(image, tile % 2 * TILE, (tile >> 1) * TILE, TILE, TILE, 0, 0, canvas.width, canvas.height);
    else pen.clearRect(0, 0, canvas.width, canvas.height);
  });
}

function describe(cell) {
  $('labels').textContent = cell ? cell.labels.join(', ') || 'none' : '';
  $('cell').textContent = cell ? `${cell.image_id} cell ${cell.cell_id}${cell.line ? `, ${cell.line}` : ''}` : '';
  $('score').textContent = !cell || cell.score === null ? (cell && cell.skipped ? 'skipped' : 'none yet')
    : `${cell.score} ${WORDS[cell.score]}`;
  $('others').hidden = !(cell && cell.scores);
  $('scores').textContent = cell && cell.scores
    ? Object.entries(cell.scores).map(([name, score]) => `${name}: ${score}`).join(', ') : '';
  $('large').setAttribute('aria-label', cell ? `cell ${cell.cell_id} of ${cell.image_id}: ${SHOWN[view]}` : 'no cell');
  if (!cell && (reviewing || ended)) say(reviewing ? 'No dispute is left in this class.' : 'No cell is left in this class.');
}

function say(text) { $('notice').textContent = text; }

function count() {
  const { scored, found } = streams, name = className();
  $('progress').textContent = `${found} new ${name} ${found === 1 ? 'cell' : 'cells'} in ${scored} scored`;
}

const className = () => about.classes.find((known) => known.id === classId).name;

// -- what keys do

function score(value) {
  const cell = current();
  if (!cell && (reviewing || ended)) return;
  if (!drawn) { say('The picture is not there yet: that key did not count.'); return; }
  const change = value === null ? { kind: 'skip' } : { kind: reviewing ? 'review' : 'score', score: value };
  const event = record(cell, change);
  done.push({ cell, id: event.id, score: cell.score, skipped: cell.skipped });
  tally(cell.score, value);
  cell.score = value;
  cell.skipped = value === null;
  say('');
  move(1);
}

function tally(before, after) {
  if (reviewing) return;
  const sign = [[before, -1], [after, 1]];
  for (const [value, by] of sign) {
    if (value === null || value === undefined) continue;
    streams.scored += by;
    streams.found += by * (value >= about.shows);
  }
  count();
}

function undo() {
  const last = done.pop();
  if (!last) { say('There is nothing to undo.'); return; }
  record(last.cell, { kind: 'undo', undoes: last.id });
  tally(last.cell.score, last.score);
  last.cell.score = last.score;
  last.cell.skipped = last.skipped;
  at = Math.max(0, list.indexOf(last.cell));
  say('Undone.');
  show();
}

function move(by) {
  const next = at + by;
  if (next < 0 || next > list.length) { say('There is no earlier cell.'); return; }
  at = next;
  show();
  fill();
}

function look(number) {
  view = number % VIEWS.length;
  document.querySelectorAll('#views button').forEach((button, place) =>
    button.setAttribute('aria-pressed', String(place === view)));
  $('shown').textContent = SHOWN[view];
  if (current() && current().image) { paint(current().image); describe(current()); }
}

function brighten() {
  const bright = $('large').classList.toggle('bright');
  document.querySelector('[data-key=b]').setAttribute('aria-pressed', String(bright));
}

async function jump() {
  const form = $('jump').querySelector('form');
  $('jump').returnValue = '';
  $('jump').showModal();
  $('jump').onclose = async () => {
    if ($('jump').returnValue === 'cancel' || !form.image.value) return;
    try {
      const found = await get('/api/cell', { image: form.image.value.trim(), cell: form.cell.value, class_id: classId, rater });
      list.splice(at, 0, { ...found, image: null });
      say('');
      show();
    } catch (error) { say(error.message); }
  };
}

async function agree() {
  const rows = await get('/api/agreement');
  tabulate('Agreement of raters', ['class', 'raters', 'cells of both', 'weighted kappa', 'same score'], rows.map((row) => [
    row.class, `${row.first}, ${row.second}`, row.cells, row.kappa === null ? '-' : row.kappa.toFixed(2),
    `${Math.round(100 * row.same)} %`]), 'No two raters scored the same cell yet.');
}

async function history() {
  const cell = current();
  if (!cell) return;
  const rows = await get('/api/audit', { image: cell.image_id, cell: cell.cell_id, class_id: classId });
  const taken = new Set(rows.map((row) => row.undoes));
  tabulate(`History of cell ${cell.cell_id} of ${cell.image_id}`, ['when', 'who', 'what', 'score', ''], rows.map((row) => [
    row.time.slice(0, 19).replace('T', ' '), row.rater, row.kind, row.score ?? '', taken.has(row.id) ? 'undone' : '']),
  'Nobody scored this cell yet.');
}

function tabulate(title, head, rows, none) {
  $('table-head').textContent = title;
  const table = document.createElement('table'), place = $('table').querySelector('.wide');
  const names = table.createTHead().insertRow();
  for (const text of head) {
    const cell = document.createElement(text ? 'th' : 'td');
    cell.textContent = text;
    names.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  place.replaceChildren(rows.length ? table : none);
  $('table').showModal();
}

async function review() {
  reviewing = !reviewing;
  document.querySelector('[data-key=r]').setAttribute('aria-pressed', String(reviewing));
  $('mode').hidden = !reviewing;
  await begin();
}

const KEYS = {
  s: () => score(null), u: undo, ArrowLeft: () => move(-1), ArrowRight: () => { if (current()) move(1); },
  ' ': () => look(view + 1), b: brighten, j: jump, r: review, a: agree, i: history, h: () => $('help').showModal(),
};
VIEWS.forEach(([key], place) => { KEYS[key] = () => look(place); });
WORDS.forEach((word, value) => { KEYS[value] = () => score(value); });

function press(event) {
  const busy = document.querySelector('dialog[open]') || event.ctrlKey || event.metaKey || event.altKey || event.repeat;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  const button = event.target.tagName === 'BUTTON' && (event.key === ' ' || event.key === 'Enter');
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (busy || typing || button || !act || !rater) return;
  event.preventDefault();
  act();
}

// -- start

async function begin() {
  epoch += 1;
  [list, at, done, ended, asking] = [[], 0, [], false, null];
  mark(false);
  const mine = epoch, who = { rater, class_id: classId };
  $('question').textContent = `Does this cell show: ${className()}?`;
  say('');
  streams = await get('/api/progress', who);
  count();
  if (reviewing) {
    const cells = await get('/api/disputes', { class_id: classId });
    if (mine === epoch) add(cells);
  } else {
    const met = await get('/api/trail', who);
    if (mine !== epoch) return;
    const before = new Map(); // what an undo of a second score uncovers
    for (const entry of met) {
      add([entry]);
      const cell = list.at(-1), earlier = before.get(cell.picture);
      cell.skipped = entry.kind === 'skip';
      done.push({ cell, id: entry.event, score: earlier?.score ?? null, skipped: earlier?.skipped ?? false });
      before.set(cell.picture, { score: cell.score, skipped: cell.skipped });
    }
    at = list.length;
  }
  if (mine !== epoch) return;
  show();
  fill();
}

function ask() {
  const input = $('name').querySelector('input');
  input.value = rater;
  $('name').showModal();
  $('name').onclose = async () => {
    rater = input.value.trim() || rater;
    try {
      if (!rater) throw new Error('no name');
      await get('/api/progress', { rater, class_id: classId });
    } catch (error) {
      rater = '';
      say('A name has up to 40 letters, digits, spaces and the signs . \' - _');
      ask();
      return;
    }
    localStorage.setItem('hpa-rater', rater);
    $('rater').textContent = rater;
    begin();
  };
}

function build() {
  WORDS.forEach((word, value) => {
    const button = document.createElement('button'), number = document.createElement('b');
    number.textContent = value;
    button.append(number, word);
    button.addEventListener('click', () => score(value));
    $('keys').append(button);
  });
  VIEWS.forEach(([key, name], place) => {
    const button = document.createElement('button'), small = document.createElement('canvas');
    small.width = small.height = 160;
    small.setAttribute('aria-hidden', 'true');
    button.append(small, `${name} (${key.toUpperCase()})`);
    button.addEventListener('click', () => look(place));
    $('views').append(button);
  });
  for (const button of document.querySelectorAll('[data-key]')) {
    button.addEventListener('click', () => KEYS[button.dataset.key]());
  }
  $('class').append(...about.classes.map(({ id, name }) => new Option(name, id)));
  $('class').addEventListener('change', (event) => {
    classId = Number(event.target.value);
    event.target.blur();
    begin();
  });
  $('rater').addEventListener('click', ask);
  document.addEventListener('keydown', press);
}

async function start() {
  about = await get('/api/session');
  classId = about.classes[0].id;
  build();
  look(0);
  adopt();
  send();
  $('rater').textContent = rater || 'no name yet';
  if (rater) begin();
  else ask();
}

start();

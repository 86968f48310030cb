// The review page: asks the server what comes next, sends one decision at a time, and says "saved" only when the server
// answered that it is. What was not answered is kept, over lost connections, restarts of the server and reloads of the
// page, and is sent again with the same id, which the server applies once.

import { COLOURS, View, ring, shapeOf } from "./draw.js";
import { Refused, Unreachable, ask, newId } from "./talk.js";

const RETRY_MS = 400, OUTLINES_MS = 90, AUDIT_MS = 350, LOGGED = 300;
const OUTLINES_PX = 2600; // side of a view above which outlines are shown as rings
const at = (id) => document.getElementById(id);
const WHY = { queue: "Worth a look", audit: "Drawn at random", free: "Chosen by you" };

// -- talking to the server -------------------------------------------------------------------------------------------

const api = {
  results: () => ask("api/results"),
  begin: (result, who) => ask(`api/results/${encodeURIComponent(result)}/reviews`, { who }),
  review: (sheet, what = "", query = {}) => ask(api.path(sheet, what) + (Object.keys(query).length ? `?${new URLSearchParams(query)}` : "")),
  path: (sheet, what) => `api/results/${encodeURIComponent(sheet.result)}/reviews/${encodeURIComponent(sheet.who)}${what ? `/${what}` : ""}`,
  picture: (sheet, query) => `api/results/${encodeURIComponent(sheet.result)}/picture?${new URLSearchParams({ ...query, of: sheet.picture })}`,
};

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// -- what is known ---------------------------------------------------------------------------------------------------

const view = new View(at("canvas"), api);
const known = {
  sheet: null, standing: null, items: new Map(), results: [],
  turn: null, // what is in front: { item, field, stream, isField }
  seenFrame: false, planes: [Infinity, -Infinity],
  skipped: new Set(), adding: 0, mode: "", cursor: null, outbox: null, complete: false,
};
window.graticule = { known, view }; // for tests, and for the curious

const outboxName = () => `graticule outbox ${known.sheet.result} ${known.sheet.who}`;

function keep(asked) {
  known.outbox = asked;
  if (asked) localStorage.setItem(outboxName(), JSON.stringify(asked));
  else localStorage.removeItem(outboxName());
}

async function open(result, who) {
  const sheet = await api.begin(result, who);
  known.skipped.clear();
  known.turn = null;
  await fetchAll(sheet);
  location.hash = new URLSearchParams({ result, who: sheet.who });
  localStorage.setItem("graticule who", sheet.who);
  at("log").replaceChildren();
  at("start").hidden = true;
  at("desk").hidden = false;
  at("progress").hidden = false;
  document.querySelector(".pick").hidden = known.results.length < 2;
  await show(sheet);
  const left = localStorage.getItem(outboxName());
  if (left) {
    keep(JSON.parse(left));
    await deliver();
  } else say(sheet.recovered || opened(), sheet.recovered ? "refused" : "");
  at("canvas").focus();
}

const opened = () => {
  const done = known.standing.accepted + known.standing.rejected;
  return done ? `${done} were decided before; going on.` : "Ready.";
};

// All of a review anew; as often as something was decided meanwhile.
async function fetchAll(sheet) {
  for (;;) {
    const items = new Map();
    let version = null, total = 1;
    for (let start = 0; start < total; ) {
      const told = await api.review(sheet, "items", { start });
      if (version !== null && told.version !== version) { version = null; break; }
      ({ version, total } = told);
      for (const item of told.items) items.set(item.id, item);
      start += told.items.length || 1;
    }
    sheet = await api.review(sheet);
    if (sheet.standing.version !== version) continue;
    Object.assign(known, { sheet, items, standing: sheet.standing });
    return;
  }
}

async function show() {
  view.open(known.sheet, known.items);
  at("z").max = view.isVolume ? known.sheet.shape[0] - 1 : 0;
  at("depth").hidden = !view.isVolume;
  showChrome();
  await nextTurn();
  refreshSoon();
}

// -- turns -----------------------------------------------------------------------------------------------------------

const nameOf = (turn) => (turn.item ? `${turn.item}` : JSON.stringify(turn.field_um));

async function nextTurn() {
  let turn = known.standing.upcoming.find((t) => !known.skipped.has(nameOf(t)));
  if (!turn && known.standing.upcoming.length) {
    const every = await api.review(known.sheet, "turns", { count: 100000 }).catch(() => []);
    turn = every.find((t) => !known.skipped.has(nameOf(t)));
    if (!turn) { known.skipped.clear(); turn = known.standing.upcoming[0]; }
  }
  face(turn ? (turn.item ? onItem(turn.item, turn.stream) : { item: 0, field: turn.field_um, stream: turn.stream }) : null);
  fetchAhead();
}

function onItem(id, stream) {
  const item = known.items.get(id), half = known.sheet.view_um / 2;
  const low = item.position_um.map((p, i) => Math.max(p - half, known.sheet.origin_um[i] - known.sheet.spacing_um[i] / 2));
  const high = item.position_um.map((p, i) => Math.min(p + half, known.sheet.origin_um[i] + (known.sheet.shape[i] - 0.5) * known.sheet.spacing_um[i]));
  return { item: id, field: [low, high], stream };
}

// Puts a turn in front of the reviewer.
function face(turn, stay = false) {
  known.turn = turn;
  known.seenFrame = known.looked = false;
  view.cut = null;
  setMode("");
  view.current = turn?.item ?? 0;
  view.frame = turn?.field ?? null;
  if (turn && !stay) {
    if (view.isVolume) setPlane(planeOf(turn));
    view.show(turn.field);
  }
  known.planes = [view.z, view.z];
  view.refresh();
  showTurn();
  if (known.sheet.outlined) outlinesSoon();
}

function planeOf(turn) {
  const z = turn.item ? known.items.get(turn.item).position_um[0] : (turn.field[0][0] + turn.field[1][0]) / 2;
  return Math.round((z - known.sheet.origin_um[0]) / known.sheet.spacing_um[0]);
}

// What of the frame was on screen since the turn was shown: of a volume, the planes that were looked at.
function seen() {
  const { turn, sheet } = known;
  if (!turn || !known.seenFrame) return null;
  if (!view.isVolume) return turn.field;
  const [low, high] = turn.field, [first, last] = known.planes.map((z) => sheet.origin_um[0] + z * sheet.spacing_um[0]);
  const depth = [Math.max(low[0], first - sheet.spacing_um[0] / 2), Math.min(high[0], last + sheet.spacing_um[0] / 2)];
  return depth[0] < depth[1] ? [[depth[0], ...low.slice(1)], [depth[1], ...high.slice(1)]] : null;
}

view.onpaint = () => {
  if (!known.turn) return;
  known.seenFrame ||= view.shows(known.turn.field);
  if (known.sheet.outlined) outlinesSoon();
};

// Pictures of the next turns, so that they are there when they are wanted.
function fetchAhead() {
  const step = 1;
  for (const turn of known.standing.upcoming.slice(0, 4)) {
    const item = known.items.get(turn.item);
    const middle = item ? item.position_um : turn.field_um && turn.field_um[0].map((v, i) => (v + turn.field_um[1][i]) / 2);
    if (!middle || known.sheet.view_um / Math.min(...view.spacing) > 700) continue;
    const [y, x] = view.toPixel(middle.slice(-2)).map((v) => Math.floor(v / 256) * 256);
    const z = view.isVolume ? Math.round((middle[0] - known.sheet.origin_um[0]) / known.sheet.spacing_um[0]) : 0;
    if (y >= 0 && x >= 0 && y < view.plane[0] && x < view.plane[1]) new Image().src = api.picture(known.sheet, { y, x, z, step, height: 256, width: 256 });
  }
}

// -- decisions -------------------------------------------------------------------------------------------------------

async function decide(what, more = {}) {
  if (known.outbox) return say("Not yet: the decision before this one is still on its way.", "waiting");
  const asked = { request: newId(), what, ...more };
  const field = asked.seen_um === undefined ? seen() : asked.seen_um;
  if (field) asked.seen_um = field;
  if (known.turn && (asked.ids?.includes(known.turn.item) || what === "look")) asked.stream = known.turn.stream;
  keep(asked);
  return deliver();
}

// Sends what waits until the server answers.
async function deliver() {
  const asked = known.outbox;
  let lost = false;
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask(api.path(known.sheet, "decisions"), asked);
      at("link").textContent = "";
      await acknowledged(asked, answer, lost);
      return true;
    } catch (error) {
      if (error instanceof Refused) {
        keep(null);
        at("link").textContent = "";
        say(error.message, "refused");
        if (lost) await refetch();
        return false;
      }
      if (!(error instanceof Unreachable)) throw error;
      lost = true;
      at("link").textContent = "● not connected";
      say(`Not saved yet: ${error.message}. Sending again …`, "waiting");
      await wait(RETRY_MS * Math.min(4, 1 + tries / 4));
    }
  }
}

async function acknowledged(asked, answer, lost) {
  const current = !lost && !answer.repeated && answer.standing.version === known.standing.version + 1;
  if (current) {
    for (const item of answer.items) known.items.set(item.id, item);
    for (const id of answer.gone) known.items.delete(id);
    known.standing = answer.standing;
  }
  log(asked.request, answer.said);
  say(`Saved: ${answer.said}.`, "saved");
  if (!current) await refetch(); // until then nothing more is decided: the page might show what is no more
  keep(null);
  if (answer.outlines) view.outlinesOf = "";
  known.adopted = answer.items.find((item) => item.origin === "added");
  showChrome();
  auditSoon();
  await goOn(asked, answer);
}

async function refetch() {
  for (let tries = 0; ; tries++) {
    try {
      await fetchAll(known.sheet);
      break;
    } catch (error) {
      if (error instanceof Refused) return say(error.message, "refused");
      await wait(RETRY_MS * Math.min(4, 1 + tries / 4));
    }
  }
  view.items = known.items;
  view.outlinesOf = "";
  view.tiles.forEach((tile, name) => { if (tile.complete && !tile.naturalWidth) view.tiles.delete(name); });
  at("link").textContent = "";
  showChrome();
}

// Where a decision leads.
async function goOn(asked, answer) {
  view.refresh();
  if (asked.what === "undo") {
    const back = answer.items.find((item) => known.items.has(item.id)) ?? null;
    known.skipped.delete(String(back?.id));
    const turn = back && known.standing.upcoming.find((t) => t.item === back.id);
    return back && back.origin !== "added" ? face(onItem(back.id, turn?.stream ?? "free")) : nextTurn();
  }
  const isGone = known.turn?.item && !known.items.has(known.turn.item);
  const isDone = known.turn && (asked.ids?.includes(known.turn.item) || asked.what === "look");
  if (isGone || isDone || !known.turn) return nextTurn();
  showTurn();
  if (known.sheet.outlined) outlinesSoon();
}

// -- steps, as keys and as buttons -----------------------------------------------------------------------------------

const STEPS = [
  { key: "Y", step: "accept", words: "Accept", part: "verdicts", need: "item", run: () => decide("accept", { ids: [known.turn.item] }) },
  { key: "N", step: "reject", words: "Reject", part: "verdicts", need: "item", run: () => decide("reject", { ids: [known.turn.item] }) },
  { key: "C", step: "look", words: "All in the frame is marked", part: "verdicts", need: "field", wide: true, run: look },
  { key: "K", step: "skip", words: "Skip", part: "verdicts", need: "", run: skip },
  { key: "U", step: "undo", words: "Take back", part: "verdicts", need: "undo", run: () => decide("undo", { seen_um: null }) },
  { key: "I", step: "add", words: "Add at the cursor", part: "corrections", need: "", run: add },
  { key: "H", step: "move", words: "Centre is at the cursor", part: "corrections", need: "item", points: true, run: () => point("move", (um) => decide("move", { ids: [known.turn.item], at_um: [um] })) },
  { key: "R", step: "redraw", words: "Draw the outline anew", part: "corrections", need: "item", outlines: true, run: () => draw("reshape") },
  { key: "D", step: "split", words: "Divide: D at each half", part: "corrections", need: "item", run: split },
  { key: "J", step: "merge", words: "Join with that at the cursor", part: "corrections", need: "item", run: merge },
  { key: "O", step: "reopen", words: "Not decided after all", part: "corrections", need: "item", run: () => decide("reopen", { ids: [known.turn.item], seen_um: null }) },
  { key: "W", step: "complete", words: "Whole image is complete", part: "corrections", need: "", run: complete },
  { key: "G", step: "pick", words: "Go to the one at the cursor", part: "moves", need: "", run: () => pick(cursor()) },
  { key: "F", step: "frame", words: "Back to the frame", part: "moves", need: "", run: () => known.turn && face(known.turn) },
  { key: "0", step: "all", words: "Whole image", part: "moves", need: "", run: () => view.showAll() },
  { key: "+", step: "in", words: "Zoom in", part: "moves", need: "", run: () => view.zoom(1.4) },
  { key: "-", step: "out", words: "Zoom out", part: "moves", need: "", run: () => view.zoom(1 / 1.4) },
  { key: "V", step: "marks", words: "Marks on and off", part: "", need: "", run: () => { at("marks").checked = view.marks = !view.marks; view.refresh(); } },
];
const MOVES = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, 1], ArrowRight: [0, -1] };

function can(step) {
  if (!known.sheet || (step.points && known.sheet.outlined) || (step.outlines && !known.sheet.outlined)) return false;
  return { item: !!known.turn?.item, field: !!known.turn && !known.turn.item, undo: known.standing.can_undo }[step.need] ?? true;
}

function take(step) {
  if (step.step !== "complete") known.complete = false;
  if (step.step !== "split") view.cut = null;
  if (can(step)) return step.run();
  const why = { item: known.turn ? "This is a frame to be searched: add what is missing with I, then press C." : "All turns are done.", field: known.turn ? "There is an object in front: Y or N." : "All turns are done.", undo: "There is nothing to take back." };
  return say(why[step.need] ?? "That is not possible here.", "refused");
}

// All planes of a frame have to be looked at before it counts as searched.
function look() {
  const [from, to] = planesOf(known.turn.field), [first, last] = known.planes;
  if (view.isVolume && (first > from || last < to) && !known.looked) {
    known.looked = true;
    return say(`You saw planes ${first + 1} to ${last + 1}, but the frame goes from ${from + 1} to ${to + 1}. Press C again if nothing is missing in any.`, "refused");
  }
  return decide("look", { seen_um: known.turn.field });
}

function planesOf(field) {
  const [low, high] = field.map((corner) => (corner[0] - known.sheet.origin_um[0]) / known.sheet.spacing_um[0]);
  return [Math.max(0, Math.ceil(low - 1e-6)), Math.min(known.sheet.shape[0] - 1, Math.floor(high + 1e-6))];
}

async function skip() {
  if (!known.turn) return nextImage();
  const turn = known.turn;
  known.skipped.add(turn.item ? `${turn.item}` : JSON.stringify(turn.field));
  await nextTurn();
  say(turn.item ? `Skipped ${turn.item}.` : "Skipped this frame.");
}

async function nextImage() {
  const names = known.results.map((r) => r.name), next = names[names.indexOf(known.sheet.result) + 1];
  if (!next) return say("This was the last image.");
  return change(next);
}

const classNow = () => known.sheet.kinds[known.adding] ?? "";

function add() {
  if (known.sheet.outlined) return draw("add");
  return point("add", (um) => decide("add", { at_um: [um], kind: classNow(), diameter_um: known.sheet.diameters_um[classNow()] ?? null, seen_um: null }));
}

// Does something where the mouse points; without one on the picture, waits for a click.
function point(mode, done) {
  if (known.cursor) return done(onImage(known.cursor));
  known.pointed = done;
  setMode(mode, { add: `Click to add ${classNow()}; Esc ends`, move: "Click where its centre is; Esc leaves it" }[mode]);
}

const cursor = () => known.cursor ?? view.size.map((n) => n / 2);

function onImage(screen) {
  const um = view.placeAt(screen);
  return um.map((v, i) => Math.min(Math.max(v, known.sheet.origin_um[i] - known.sheet.spacing_um[i] / 2), known.sheet.origin_um[i] + (known.sheet.shape[i] - 0.5) * known.sheet.spacing_um[i]));
}

function split() {
  const place = onImage(cursor());
  if (!view.cut) {
    view.cut = place;
    view.refresh();
    return say(`Point at the other half of ${known.turn.item}, and press D again.`);
  }
  const first = view.cut;
  view.cut = null;
  return decide("split", { ids: [known.turn.item], at_um: [first, place] });
}

function merge() {
  const other = view.itemAt(cursor());
  if (!other || other.id === known.turn.item) return say("Point at the object to join with, and press J.", "refused");
  return decide("merge", { ids: [known.turn.item, other.id] });
}

function complete() {
  if (!known.complete) {
    known.complete = true;
    return say("Press W again if nothing is missing anywhere in the whole image.");
  }
  known.complete = false;
  return decide("complete", { seen_um: null });
}

function pick(screen) {
  const item = view.itemAt(screen);
  if (!item) return say("There is no object here.");
  face(onItem(item.id, "free"), true);
}

function choose(number) {
  const kind = known.sheet.kinds[number];
  if (!kind) return say(`There are ${known.sheet.kinds.length} classes.`, "refused");
  if (known.turn?.item) return decide("relabel", { ids: [known.turn.item], kind });
  known.adding = number;
  showClasses();
  say(`What you add from now on is ${kind}.`);
}

function draw(what) {
  known.drawn = what;
  setMode("draw", `Draw around ${what === "add" ? "it" : known.turn.item} with the mouse held down; Esc leaves it`);
}

function setMode(mode, words = "") {
  known.mode = mode;
  view.drawn = [];
  at("mode").hidden = !mode;
  at("mode").textContent = words;
  for (const button of document.querySelectorAll("[data-step]")) button.setAttribute("aria-pressed", String(!!mode && button.dataset.step === mode));
}

// -- mouse -----------------------------------------------------------------------------------------------------------

const screenOf = (event) => [event.offsetY, event.offsetX];
let drag = null;

at("canvas").addEventListener("pointerdown", (event) => {
  if (event.button > 1) return;
  at("canvas").setPointerCapture(event.pointerId);
  drag = { from: screenOf(event), last: screenOf(event), moved: false };
  if (known.mode === "draw") view.drawn = [onImage(drag.from)];
});
at("canvas").addEventListener("pointermove", (event) => {
  known.cursor = screenOf(event);
  if (!drag) return;
  const now = screenOf(event);
  drag.moved ||= Math.hypot(now[0] - drag.from[0], now[1] - drag.from[1]) > 4;
  if (known.mode === "draw") { view.drawn.push(onImage(now)); view.refresh(); }
  else if (drag.moved) view.pan(now[0] - drag.last[0], now[1] - drag.last[1]);
  drag.last = now;
});
at("canvas").addEventListener("pointerup", (event) => {
  const { moved } = drag ?? {};
  drag = null;
  if (known.mode === "draw") return finishDrawing();
  if (moved || event.button) return;
  const screen = screenOf(event);
  known.cursor = screen;
  if (!known.mode) return pick(screen);
  const { pointed, mode } = known;
  if (mode === "move") setMode("");
  pointed(onImage(screen));
});
at("canvas").addEventListener("pointerleave", () => { if (!drag) known.cursor = null; });
at("canvas").addEventListener("pointercancel", () => { drag = null; view.drawn = []; });
at("canvas").addEventListener("wheel", (event) => {
  event.preventDefault();
  if (view.isVolume && (event.shiftKey || event.altKey)) return setPlane(view.z + Math.sign(event.deltaY || event.deltaX));
  view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), screenOf(event));
}, { passive: false });

function finishDrawing() {
  const line = thinned(view.drawn), what = known.drawn;
  setMode("");
  view.refresh();
  if (line.length < 3) return say("That was too small for an outline: draw around it with the mouse held down.", "refused");
  return decide(what, { outline_um: line, ...(what === "add" ? { kind: classNow(), seen_um: null } : { ids: [known.turn.item] }) });
}

// At most 2,000 of the places a mouse went through.
const thinned = (line) => line.filter((_, i) => i % Math.ceil(line.length / 2000) === 0);

// -- keys ------------------------------------------------------------------------------------------------------------

addEventListener("keydown", (event) => {
  const { tagName, type } = event.target, isMove = /^(Arrow|Page)/.test(event.key);
  if (at("desk").hidden || event.ctrlKey || event.metaKey || event.altKey || tagName === "SELECT" || (type === "range" && isMove)) return;
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const step = STEPS.find((s) => s.key === (key === "=" ? "+" : key));
  if (MOVES[key]) view.pan(...MOVES[key].map((v) => v * 60));
  else if (key === "PageUp" || key === "PageDown") view.isVolume && setPlane(view.z + (key === "PageUp" ? 1 : -1));
  else if (key === "Escape") { setMode(""); view.cut = null; view.refresh(); }
  else if (event.repeat && step?.part !== "moves") return; // a key held down decides once
  else if (step) take(step);
  else if (key >= "1" && key <= "9") choose(+key - 1);
  else return;
  event.preventDefault();
});

// -- what is on the page besides the picture -------------------------------------------------------------------------

function say(words, how = "") {
  at("said").className = how;
  at("said").textContent = words;
}

function log(request, words) {
  const line = document.createElement("li"), said = document.createElement("span"), when = document.createElement("time");
  line.dataset.request = request;
  said.textContent = words;
  when.textContent = new Date().toLocaleTimeString();
  line.append(said, when);
  at("log").prepend(line);
  while (at("log").children.length > LOGGED) at("log").lastChild.remove();
}

function showTurn() {
  const { turn, sheet } = known;
  const item = turn?.item ? known.items.get(turn.item) : null;
  at("why").textContent = turn ? WHY[turn.stream] : "";
  if (!turn) {
    at("question").textContent = "All turns are done.";
    const more = known.results.findIndex((r) => r.name === sheet.result) + 1 < known.results.length;
    at("facts").textContent = more ? "K opens the next image." : "You can still correct anything: click on it.";
  } else if (item) {
    at("question").textContent = item.status === "open" ? `Is ${item.id} right?` : `${item.id} is ${item.status}`;
    const size = view.diameter(item), told = [item.kind, item.origin === "added" ? "added by you" : `confidence ${item.confidence.toFixed(2)}`];
    if (size) told.push(size < 1 ? `${+(size * 1000).toPrecision(3)} nm` : `${+size.toPrecision(3)} µm`);
    at("facts").textContent = told.join(" · ");
  } else {
    at("question").textContent = "Is anything missing in the frame?";
    at("facts").textContent = "Point at what is missing and press I; then C." + (view.isVolume ? " Look through all its planes." : "");
  }
  for (const button of document.querySelectorAll("[data-step]")) {
    const step = STEPS.find((s) => s.step === button.dataset.step);
    button.disabled = !can(step);
    if (step.wide) button.hidden = !can(step);
    if (step.points || step.outlines) button.hidden = !!step.points === sheet.outlined;
    if (step.step === "accept" || step.step === "reject") button.hidden = !!turn && !turn.item;
  }
  showClasses();
}

function showChrome() {
  const { accepted, rejected, open: left, turns, turns_done: done, complete: isComplete } = known.standing;
  at("progress").setAttribute("aria-valuemax", turns);
  at("progress").setAttribute("aria-valuenow", done);
  at("progress").firstElementChild.style.width = `${(100 * done) / Math.max(1, turns)}%`;
  at("counts").textContent = `${done} of ${turns} turns · ${accepted} accepted · ${rejected} rejected · ${left} open${isComplete ? " · complete" : ""}`;
  at("who").textContent = known.sheet.who;
  document.title = `${known.sheet.result} · Graticule review`;
}

function showClasses() {
  const now = known.turn?.item ? known.items.get(known.turn.item)?.kind : classNow();
  at("classes").replaceChildren(...known.sheet.kinds.map((kind, number) => {
    const button = document.createElement("button"), key = document.createElement("kbd"), mark = document.createElement("canvas");
    Object.assign(mark, { width: 20, height: 20 });
    const context = mark.getContext("2d");
    ring(context, shapeOf(kind, known.sheet.kinds), 10, 10, 6);
    Object.assign(context, { strokeStyle: "#eef2f5", lineWidth: 2 });
    context.stroke();
    key.textContent = number < 9 ? number + 1 : "";
    button.append(mark, kind, key);
    button.setAttribute("aria-pressed", String(kind === now));
    button.onclick = () => choose(number);
    return button;
  }));
}

function estimate(name, told, words) {
  const term = document.createElement("dt"), value = document.createElement("dd"), note = document.createElement("small");
  term.textContent = name;
  value.textContent = told ? words(told.value) : "not known yet";
  if (told) note.textContent = `${words(told.low)} to ${words(told.high)}; ${told.seen} of ${told.whole} ${name === "Right" ? "seen" : "fields searched"}`;
  value.append(note);
  return [term, value];
}

async function showAudit() {
  const told = await api.review(known.sheet, "audit").catch(() => null);
  if (!told) return;
  const share = (v) => `${(100 * v).toFixed(0)} %`, count = (v) => (v < 10 ? +v.toFixed(1) : Math.round(v)).toString();
  at("audit").replaceChildren(...estimate("Right", told.precision, share), ...estimate("Missed", told.missed, count), ...estimate("Found of all", told.recall, share));
}

let auditTimer = 0, outlineTimer = 0;
function auditSoon() {
  clearTimeout(auditTimer);
  auditTimer = setTimeout(showAudit, AUDIT_MS);
}

// Outlines of what is on screen, where that changed.
function outlinesSoon() {
  const [y, x, height, width] = view.window(), have = view.outlinesAt;
  const within = have && view.outlinesOf === `${known.sheet.server} ${view.z}` && y >= have[0] && x >= have[1] && y + height <= have[0] + have[2] && x + width <= have[1] + have[3];
  if (within || outlineTimer || !height || !width) return;
  outlineTimer = setTimeout(fetchOutlines, OUTLINES_MS);
}

async function fetchOutlines() {
  const [y, x, height, width] = view.window(0.3), z = view.z, of = `${known.sheet.server} ${z}`;
  try {
    const told = Math.max(height, width) > OUTLINES_PX ? { rings: {} } : await api.review(known.sheet, "outlines", { y, x, height, width, z });
    if (z === view.z) Object.assign(view, { outlines: told.rings, outlinesAt: [y, x, height, width], outlinesOf: of });
    view.refresh();
  } catch { await wait(RETRY_MS); } finally { outlineTimer = 0; }
}

function refreshSoon() {
  view.refresh();
  auditSoon();
}

function setPlane(z) {
  view.z = Math.min(Math.max(0, z), known.sheet.shape[0] - 1);
  at("z").value = view.z;
  at("plane").textContent = `${view.z + 1} of ${known.sheet.shape[0]}`;
  known.planes = [Math.min(known.planes[0], view.z), Math.max(known.planes[1], view.z)];
  view.refresh();
}

// -- beginning -------------------------------------------------------------------------------------------------------

async function change(result) {
  const { sheet } = known;
  if (known.outbox) return say("Not yet: the decision before this one is still on its way.", "waiting");
  if (sheet && sheet.result !== result) await ask(api.path(sheet, "leave"), {}).catch(() => {});
  try {
    await open(result, sheet?.who ?? at("name").value.trim());
  } catch (error) {
    at("fault").textContent = error.message;
    say(error.message, "refused");
  }
  at("result").value = known.sheet?.result ?? "";
}

function makeButtons() {
  for (const step of STEPS.filter((s) => s.part)) {
    const button = document.createElement("button"), key = document.createElement("kbd");
    button.type = "button";
    button.dataset.step = step.step;
    key.textContent = step.key;
    button.append(step.words, key);
    if (step.wide) button.className = "wide";
    button.onclick = () => { known.cursor = null; take(step); at("canvas").focus(); };
    at(step.part).append(button);
  }
  at("legend").replaceChildren(...["open", "accepted", "rejected"].map((status) => {
    const line = document.createElement("span"), mark = document.createElement("i");
    mark.style.borderTopColor = COLOURS[status];
    mark.style.borderTopStyle = { open: "dashed", accepted: "solid", rejected: "dotted" }[status];
    line.append(mark, status);
    return line;
  }));
}

async function start() {
  makeButtons();
  at("begin").onsubmit = (event) => event.preventDefault();
  at("result").onchange = () => change(at("result").value);
  at("z").oninput = () => setPlane(+at("z").value);
  at("marks").onchange = () => { view.marks = at("marks").checked; view.refresh(); };
  for (const id of ["brightness", "contrast"]) at(id).oninput = () => {
    view.filter = `brightness(${at("brightness").value}) contrast(${at("contrast").value})`;
    view.refresh();
  };
  let told;
  for (;;) {
    try { told = await api.results(); break; } catch (error) { at("fault").textContent = `${error.message} …`; }
    await wait(1000);
  }
  at("fault").textContent = "";
  known.results = told.results;
  at("name").value = told.who || localStorage.getItem("graticule who") || "";
  at("result").replaceChildren(...told.results.map((r) => new Option(r.name, r.name)));
  at("results").replaceChildren(...told.results.map((result) => {
    const button = document.createElement("button"), note = document.createElement("small");
    note.textContent = [result.task, result.reviewers.length ? `reviewed by ${result.reviewers.join(", ")}` : "not reviewed yet"].filter(Boolean).join(" · ");
    button.append(result.name, note);
    button.onclick = () => at("begin").reportValidity() && change(result.name);
    return button;
  }));
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.get("who")) at("name").value = asked.get("who");
  const first = told.results.find((r) => r.name === asked.get("result")) ?? (told.results.length === 1 && at("name").value ? told.results[0] : null);
  if (first) await change(first.name);
}

start();

// The dashboard's picture: what was found in one image at the settings of the moment, and corrections by hand.
// The dashboard around it says when something has changed ("refresh"), and is told when something was corrected ("changed").

import { View, ring, shapeOf } from "./draw.js";
import { Refused, Unreachable, ask, newId } from "./talk.js";

const CLASS_COLOURS = ["#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00"]; // Okabe and Ito
const GONE = "#9aa4ae", OUTLINES_MS = 80, TRIES = 20, WAIT_MS = 400;
const at = (id) => document.getElementById(id);
const where = new URLSearchParams(location.search);
const base = `api/looks/${encodeURIComponent(where.get("job"))}/${encodeURIComponent(where.get("place"))}`;

const api = { picture: (sheet, query) => `${base}/picture?${new URLSearchParams({ ...query, of: sheet.picture })}` };

// Coloured by class, as nothing is decided here yet; what was taken out is grey.
class ClassView extends View {
  colourOf(item) { return item.status === "rejected" ? GONE : CLASS_COLOURS[Math.max(0, this.sheet.kinds.indexOf(item.kind)) % CLASS_COLOURS.length]; }
  dashesOf(item) { return item.status === "rejected" ? [2, 4] : []; }
}

const view = new ClassView(at("canvas"), api);
const known = { sheet: null, tool: "look", busy: 0, asked: 0 };
window.graticule = { known, view }; // for tests, and for the curious

function say(words, how = "") {
  at("said").textContent = words;
  at("said").className = how;
}

// -- what there is ---------------------------------------------------------------------------------------------------

// Everything anew, unless something newer was asked for meanwhile.
async function refresh() {
  const number = ++known.asked;
  known.busy++;
  try {
    const told = await patiently(() => ask(`${base}/items`));
    if (number !== known.asked) return;
    const first = !known.sheet;
    known.sheet = told.sheet;
    const items = new Map(told.items.map((item) => [item.id, item]));
    if (first) { view.open(told.sheet, items); arrange(); } else { view.sheet = told.sheet; view.items = items; }
    view.outlinesOf = "";
    at("undo").disabled = !told.sheet.can_undo;
    showLegend();
    if (first) say(told.sheet.correctable ? "Wheel zooms, dragging moves." : "Wheel zooms, dragging moves. A mask has no single objects to correct.");
    await outlines();
    view.refresh();
  } catch (error) {
    say(error.message, "refused");
  } finally { known.busy--; }
}

async function patiently(what) {
  for (let tries = 1; ; tries++) {
    try { return await what(); } catch (error) {
      if (!(error instanceof Unreachable) || tries >= TRIES) throw error;
      say(`${error.message}. Trying again …`, "refused");
      await new Promise((done) => setTimeout(done, WAIT_MS));
    }
  }
}

// What on screen has outlines; asked for anew where the picture has moved.
async function outlines() {
  if (!known.sheet?.outlined) return;
  const [y, x, height, width] = view.window(0.2), name = `${known.sheet.version} ${view.z} ${y} ${x} ${height} ${width}`;
  if (view.outlinesOf === name || !height || !width) return;
  view.outlinesOf = name;
  try {
    const told = await ask(`${base}/outlines?${new URLSearchParams({ y, x, height, width, z: view.z })}`);
    if (view.outlinesOf !== name) return;
    view.outlines = told.rings;
    view.refresh();
  } catch (error) {
    if (view.outlinesOf === name) view.outlinesOf = "";
    if (error instanceof Refused) say(error.message, "refused");
  }
}

let outlinesTimer = 0;
view.onpaint = () => {
  clearTimeout(outlinesTimer);
  outlinesTimer = setTimeout(outlines, OUTLINES_MS);
};

function arrange() {
  const { sheet } = known;
  at("z").max = view.isVolume ? sheet.shape[0] - 1 : 0;
  at("depth").hidden = !view.isVolume;
  setPlane(view.z);
  at("class").replaceChildren(...sheet.kinds.map((kind) => new Option(kind, kind)));
  at("class").hidden = sheet.kinds.length < 2;
  document.querySelector("[data-tool=relabel]").hidden = sheet.kinds.length < 2;
  at("tools").hidden = !sheet.correctable;
  at("heat").replaceChildren(new Option("none", ""), ...sheet.heat.map((kind, i) => new Option(kind, i)));
  at("heat").parentElement.hidden = !sheet.heat.length;
}

function showLegend() {
  const counts = new Map(known.sheet.kinds.map((kind) => [kind, 0]));
  for (const item of view.items.values()) if (item.status !== "rejected") counts.set(item.kind, (counts.get(item.kind) ?? 0) + 1);
  const rows = [...counts].map(([kind, count]) => {
    const row = document.createElement("span"), mark = document.createElement("canvas");
    Object.assign(mark, { width: 18, height: 18 });
    const pen = mark.getContext("2d");
    Object.assign(pen, { lineWidth: 2.5, strokeStyle: view.colourOf({ kind, status: "open" }) });
    ring(pen, shapeOf(kind, known.sheet.kinds), 9, 9, 6);
    pen.stroke();
    row.append(mark, known.sheet.correctable ? `${kind}: ${count}` : kind);
    row.dataset.kind = kind;
    row.dataset.count = count;
    return row;
  });
  at("legend").replaceChildren(...rows);
}

// -- corrections -----------------------------------------------------------------------------------------------------

async function decide(what, more) {
  known.busy++;
  say("Saving …");
  const asked = { request: newId(), what, seen_um: null, ...more }; // the same one however often it is sent
  try {
    const answer = await patiently(() => ask(`${base}/decisions`, asked));
    say(`Saved: ${answer.said}.`, "saved");
    await refresh();
    tell("changed");
  } catch (error) {
    say(error.message, "refused");
  } finally { known.busy--; }
}

const className = () => at("class").value || known.sheet.kinds[0];

function act(screen) {
  const item = view.itemAt(screen);
  if (known.tool === "add") return add(screen);
  if (!item) return say(known.tool === "look" ? place(screen) : "There is no object here.");
  if (known.tool === "remove") return decide(item.status === "rejected" ? "reopen" : "reject", { ids: [item.id] });
  if (known.tool === "relabel") return decide("relabel", { ids: [item.id], kind: className() });
  view.current = item.id;
  view.refresh();
  const made = item.origin === "added" ? "added by hand" : `confidence ${item.confidence.toFixed(3)}`;
  return say(`${item.kind} ${item.id}, ${made}, at ${told(item.position_um)}${item.status === "rejected" ? ", removed" : ""}.`);
}

function add(screen) {
  const um = view.placeAt(screen);
  if (!view.isOnImage(um)) return say("This is outside the image.", "refused");
  if (known.sheet.outlined) return say("Hold the mouse down and draw around it.");
  return decide("add", { at_um: [um], kind: className(), diameter_um: known.sheet.diameters_um[className()] ?? null });
}

function drew() {
  const line = view.drawn;
  view.drawn = [];
  view.refresh();
  if (line.length < 8) return say("Hold the mouse down and draw around it.");
  return decide("add", { outline_um: line.filter((_, i) => i % Math.ceil(line.length / 2000) === 0), kind: className() });
}

const told = (um) => `${um.length > 2 ? `z ${um[0].toFixed(2)}, ` : ""}y ${um.at(-2).toFixed(3)}, x ${um.at(-1).toFixed(3)} µm`;
const place = (screen) => { view.current = 0; view.refresh(); return `Nothing was found at ${told(view.placeAt(screen))}.`; };

function setTool(tool) {
  if (!known.sheet?.correctable) return;
  known.tool = document.body.dataset.tool = tool;
  view.drawn = [];
  for (const button of document.querySelectorAll("[data-tool]")) if (button !== document.body) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  say({
    look: "Click an object to read what it is.",
    add: known.sheet.outlined ? "Draw around what was missed." : "Click the centre of what was missed.",
    remove: "Click what is none; click it again to take it back.",
    relabel: `Click what is ${className()}.`,
  }[tool]);
}

const undo = () => (at("undo").disabled ? say("There is nothing to take back.") : decide("undo", {}));

// -- the mouse, the keyboard, and what stands around the picture -----------------------------------------------------

function setPlane(z) {
  view.z = Math.min(Math.max(0, z), view.isVolume ? known.sheet.shape[0] - 1 : 0);
  at("z").value = view.z;
  at("plane").textContent = view.isVolume ? `${view.z + 1} of ${known.sheet.shape[0]}` : "";
  view.refresh();
}

const canvas = at("canvas");
const spot = (event) => [event.offsetY, event.offsetX];
let drag = null;

canvas.onpointerdown = (event) => {
  if (!known.sheet || event.button > 1) return;
  canvas.setPointerCapture(event.pointerId);
  drag = { from: spot(event), last: spot(event), moved: false, draws: known.tool === "add" && known.sheet.outlined && event.button === 0 };
  canvas.focus();
};
canvas.onpointermove = (event) => {
  if (!drag) return;
  const now = spot(event);
  drag.moved ||= Math.hypot(now[0] - drag.from[0], now[1] - drag.from[1]) > 4;
  if (drag.draws) { view.drawn.push(view.placeAt(now)); view.refresh(); } else if (drag.moved) view.pan(now[0] - drag.last[0], now[1] - drag.last[1]);
  drag.last = now;
};
canvas.onpointerup = (event) => {
  const was = drag;
  drag = null;
  if (!was) return;
  if (was.draws && was.moved) drew();
  else if (!was.moved && event.button === 0) act(spot(event));
};
canvas.onpointercancel = () => { drag = null; };
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (!known.sheet) return;
  if (event.shiftKey && view.isVolume) setPlane(view.z + Math.sign(event.deltaY || event.deltaX));
  else view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), spot(event));
}, { passive: false });

const KEYS = {
  Escape: () => setTool("look"), a: () => setTool("add"), x: () => setTool("remove"), c: () => setTool("relabel"), u: undo,
  0: () => view.showAll(), "+": () => view.zoom(1.4), "-": () => view.zoom(1 / 1.4),
  v: () => { at("marks").checked = view.marks = !view.marks; view.refresh(); },
  h: () => { const select = at("heat"); select.selectedIndex = (select.selectedIndex + 1) % select.options.length; showHeat(); },
  PageUp: () => setPlane(view.z + 1), PageDown: () => setPlane(view.z - 1),
};
document.addEventListener("keydown", (event) => {
  if (!known.sheet || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
  const does = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (does) { event.preventDefault(); does(); }
});

function showHeat() {
  const kind = at("heat").value;
  view.layers = view.layers.slice(0, 1);
  if (kind !== "") view.layers.push({ name: `heat ${kind}`, alpha: 0.75, address: (query) => `${base}/heat?${new URLSearchParams({ ...query, kind, of: known.sheet.picture })}` });
  view.refresh();
}

for (const button of document.querySelectorAll("#tools [data-tool]")) button.onclick = () => setTool(button.dataset.tool);
at("undo").onclick = undo;
at("class").onchange = () => setTool(known.tool);
at("heat").onchange = showHeat;
at("z").oninput = () => setPlane(+at("z").value);
at("marks").onchange = () => { view.marks = at("marks").checked; view.refresh(); };
at("all").onclick = () => view.showAll();
at("in").onclick = () => view.zoom(1.4);
at("out").onclick = () => view.zoom(1 / 1.4);
for (const id of ["brightness", "contrast"]) at(id).oninput = () => {
  view.filter = `brightness(${at("brightness").value}) contrast(${at("contrast").value})`;
  view.refresh();
};

// -- the page around -------------------------------------------------------------------------------------------------

function tell(what) { if (parent !== window) parent.postMessage({ graticule: what }, location.origin); }
addEventListener("message", (event) => { if (event.origin === location.origin && event.data?.graticule === "refresh") refresh(); });
refresh();

// The picture: tiles of the image at the zoom they are looked at, with what was found and decided drawn over them.
// Places are in micrometres, as everywhere; only tiles and outlines are in pixels of the image.

export const COLOURS = { open: "#F0E442", accepted: "#56B4E9", rejected: "#D55E00", frame: "#FFFFFF", drawn: "#CC79A7" };
const DASHES = { open: [6, 4], accepted: [], rejected: [2, 4] };
const SHAPES = ["circle", "square", "diamond", "up", "down", "hexagon"];
const TILE = 256; // pixels of a picture
const KEPT = 600; // tiles
const WHOLE = 64e6; // pixels of a plane up to which a small picture of all of it is kept behind the tiles
const MANY = 1500, CROWD = 6000; // marks on screen from which they are drawn alike, and as dots
const UNKNOWN_PX = 10; // radius of a ring around what has no known size
const SMALLEST_PX = 6;

// A class's ring as a path around x, y.
export function ring(context, shape, x, y, r) {
  context.beginPath();
  trace(context, shape, x, y, r);
}

// The same as a part of the path there is.
function trace(context, shape, x, y, r) {
  const corners = { square: [4, 45], diamond: [4, 0], up: [3, -90], down: [3, 90], hexagon: [6, 0] }[shape];
  if (!corners) {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  } else {
    const [count, turn] = corners, reach = r * (count === 3 ? 1.5 : count === 4 ? 1.48 : 1.12);
    for (let i = 0; i < count; i++) {
      const angle = ((turn + (360 * i) / count) * Math.PI) / 180;
      context[i ? "lineTo" : "moveTo"](x + reach * Math.cos(angle), y + reach * Math.sin(angle));
    }
    context.closePath();
  }
}

export const shapeOf = (kind, kinds) => SHAPES[Math.max(0, kinds.indexOf(kind)) % SHAPES.length];

export class View {
  constructor(canvas, api) {
    Object.assign(this, { canvas, api, context: canvas.getContext("2d"), tiles: new Map(), sheet: null, items: new Map() });
    Object.assign(this, { z: 0, outlines: {}, drawn: [], marks: true, current: 0, frame: null, cut: null, filter: "none" });
    this.layers = [{ name: "image", alpha: 1, address: (query) => api.picture(this.sheet, query) }]; // the first below the others
    this.centre = [0, 0]; // y, x in µm
    this.scale = 1; // pixels of the page per µm
    new ResizeObserver(() => this.refresh()).observe(canvas);
  }

  open(sheet, items) {
    const same = this.sheet && this.sheet.result === sheet.result && this.sheet.picture === sheet.picture;
    Object.assign(this, { sheet, items, outlines: {}, drawn: [], cut: null });
    if (!same) {
      this.tiles.clear();
      this.z = this.isVolume ? Math.floor(sheet.shape[0] / 2) : 0;
      this.showAll();
    }
    this.refresh();
  }

  // -- where things are ----------------------------------------------------------------------------------------------

  get isVolume() { return this.sheet.shape.length === 3; }
  get plane() { return this.sheet.shape.slice(-2); }
  get spacing() { return this.sheet.spacing_um.slice(-2); }
  get origin() { return this.sheet.origin_um.slice(-2); }
  get size() { return [this.canvas.clientHeight, this.canvas.clientWidth]; }
  get z_um() { return this.sheet.origin_um[0] + this.z * this.sheet.spacing_um[0]; }

  // Pixels of the image (0 is the outer edge of the first) to µm and back.
  toUm(y, x) { return [y, x].map((v, i) => this.origin[i] + (v - 0.5) * this.spacing[i]); }
  toPixel(um) { return um.map((v, i) => (v - this.origin[i]) / this.spacing[i] + 0.5); }
  toScreen(um) { return um.map((v, i) => (v - this.centre[i]) * this.scale + this.size[i] / 2); }
  fromScreen(at) { return at.map((v, i) => (v - this.size[i] / 2) / this.scale + this.centre[i]); }
  placeAt(screen) { const flat = this.fromScreen(screen); return this.isVolume ? [this.z_um, ...flat] : flat; }
  isOnImage(um) { const p = this.toPixel(um.slice(-2)); return p.every((v, i) => v >= 0 && v <= this.plane[i]); }

  get extent() { return [this.toUm(0, 0), this.toUm(...this.plane)]; }

  showAll() {
    const [low, high] = this.extent;
    this.centre = low.map((v, i) => (v + high[i]) / 2);
    this.scale = Math.min(...this.size.map((n, i) => n / (high[i] - low[i]))) * 0.96 || 1;
    this.refresh();
  }

  // Puts a field on screen, with some room around it.
  show(field, keepScale = false) {
    const [low, high] = field.map((corner) => corner.slice(-2));
    this.centre = low.map((v, i) => (v + high[i]) / 2);
    if (!keepScale) this.scale = Math.min(...this.size.map((n, i) => n / (high[i] - low[i]))) * 0.8 || 1;
    this.refresh();
  }

  zoom(factor, at = this.size.map((n) => n / 2)) {
    const fixed = this.fromScreen(at), finest = Math.min(...this.spacing);
    const [low, high] = this.extent, whole = Math.min(...this.size.map((n, i) => n / (high[i] - low[i])));
    this.scale = Math.min(Math.max(this.scale * factor, whole / 4), 64 / finest);
    this.centre = fixed.map((v, i) => v - (at[i] - this.size[i] / 2) / this.scale);
    this.refresh();
  }

  pan(dy, dx) { this.centre = [this.centre[0] - dy / this.scale, this.centre[1] - dx / this.scale]; this.refresh(); }

  // Whether all of a field is on screen.
  shows(field) {
    const [a, b] = field.map((corner) => this.toScreen(corner.slice(-2)));
    return a.every((v) => v > -1) && b.every((v, i) => v < this.size[i] + 1);
  }

  // The window of pixels on screen, with a margin: y, x, height, width.
  window(margin = 0) {
    const [a, b] = [[0, 0], this.size].map((at) => this.toPixel(this.fromScreen(at)));
    const low = a.map((v, i) => Math.max(0, Math.floor(v - margin * (b[i] - v))));
    const high = b.map((v, i) => Math.min(this.plane[i], Math.ceil(v + margin * (v - a[i]))));
    return [low[0], low[1], Math.max(0, high[0] - low[0]), Math.max(0, high[1] - low[1])];
  }

  // The item that a place on screen is on, or nearest to within reach.
  itemAt(screen, reach = 14) {
    let best = null, least = Infinity;
    for (const item of this.items.values()) {
      if (!this.isNear(item)) continue;
      const away = Math.hypot(...this.toScreen(item.position_um.slice(-2)).map((v, i) => v - screen[i]));
      const within = this.holds(item, screen) || away <= Math.max(reach, this.radius(item));
      const rank = away + (item.status === "rejected" ? 1e6 : 0);
      if (within && rank < least) [best, least] = [item, rank];
    }
    return best;
  }

  holds(item, screen) {
    const rings = this.outlines[item.id];
    if (!rings) return false;
    const [y, x] = this.toPixel(this.fromScreen(screen));
    this.context.resetTransform(); // which would move the path, but not the point
    return this.context.isPointInPath(path(rings), x, y, "evenodd");
  }

  // Of a volume: whether an item reaches the plane on screen.
  isNear(item) {
    if (!this.isVolume) return true;
    return !!this.outlines[item.id] || Math.abs(item.position_um[0] - this.z_um) <= this.reach(item);
  }

  reach(item) { return Math.max(this.diameter(item) / 2 || 0, 1.01 * this.sheet.spacing_um[0]); }
  diameter(item) { return item.diameter_um ?? this.sheet.diameters_um[item.kind] ?? 0; }

  radius(item) {
    const full = (this.diameter(item) / 2) * this.scale;
    const off = this.isVolume ? Math.abs(item.position_um[0] - this.z_um) / this.reach(item) : 0;
    return Math.max(SMALLEST_PX, (full ? full + 2 : UNKNOWN_PX) * Math.sqrt(Math.max(0, 1 - 0.8 * off * off)));
  }

  // What was decided on an item; another page may colour by something else.
  colourOf(item) { return COLOURS[item.status]; }
  dashesOf(item) { return DASHES[item.status]; }

  // -- drawing -------------------------------------------------------------------------------------------------------

  refresh() {
    if (this.waiting || !this.sheet) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const { canvas, context } = this, dense = devicePixelRatio || 1;
    const [height, width] = this.size.map((n) => Math.round(n * dense));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    this.paintTiles(dense);
    if (this.frame) this.paintFrame();
    if (this.marks) this.paintItems();
    this.paintPen();
    this.paintBar();
    this.onpaint?.();
  }

  paintTiles(dense) {
    const fine = 2 ** Math.max(0, Math.floor(Math.log2(1 / (this.scale * Math.min(...this.spacing) * dense)) + 1e-9));
    const coarse = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(...this.plane) / TILE)));
    for (const layer of this.layers) this.paintLayer(layer, fine, coarse, dense);
    Object.assign(this.context, { filter: "none", globalAlpha: 1 });
  }

  paintLayer(layer, fine, coarse, dense) {
    const { context } = this, isFirst = layer === this.layers[0], small = this.plane[0] * this.plane[1] <= WHOLE;
    for (const [y, x] of this.grid(fine)) this.tile(layer, fine, y, x, true); // asked for before the whole, which takes longer
    Object.assign(context, { filter: isFirst ? this.filter : "none", globalAlpha: layer.alpha });
    // Through a layer that is not opaque the coarser tiles would shine.
    for (let step = isFirst ? Math.max(coarse, fine) : fine; step >= fine; step /= 2) {
      const wanted = step === coarse && small;
      context.imageSmoothingEnabled = this.scale * Math.min(...this.spacing) * dense * step < 1.6;
      for (const [y, x] of this.grid(step)) {
        const tile = this.tile(layer, step, y, x, wanted);
        if (tile?.complete && tile.naturalWidth) this.paintTile(tile, step, y, x);
      }
    }
  }

  *grid(step) {
    const [top, left, height, width] = this.window(), side = TILE * step;
    for (let y = Math.floor(top / side) * side; y < top + height; y += side)
      for (let x = Math.floor(left / side) * side; x < left + width; x += side) yield [y, x];
  }

  paintTile(tile, step, y, x) {
    const [a, b] = [[y, x], [y + tile.naturalHeight * step, x + tile.naturalWidth * step]].map((at) => this.snapped(at));
    // The last blocks may stand for fewer pixels than `step`; what reaches over the image's edge is cut off.
    const edge = this.snapped(this.plane);
    this.context.save();
    this.context.beginPath();
    this.context.rect(a[1], a[0], Math.min(b[1], edge[1]) - a[1], Math.min(b[0], edge[0]) - a[0]);
    this.context.clip();
    this.context.drawImage(tile, a[1], a[0], b[1] - a[1], b[0] - a[0]);
    this.context.restore();
  }

  // On whole pixels of the screen: between tiles that end within one, what is behind them would shine through.
  snapped(pixel) {
    const dense = devicePixelRatio || 1;
    return this.toScreen(this.toUm(...pixel)).map((v) => Math.round(v * dense) / dense);
  }

  tile(layer, step, y, x, wanted) {
    const name = `${layer.name}/${this.z}/${step}/${y}/${x}`, known = this.tiles.get(name);
    if (known || !wanted) return known;
    const tile = new Image();
    tile.onload = () => this.refresh();
    tile.onerror = () => { if (this.tiles.get(name) === tile) this.tiles.delete(name); };
    tile.src = layer.address({ y, x, z: this.z, step, height: TILE, width: TILE });
    this.tiles.set(name, tile);
    while (this.tiles.size > KEPT) this.tiles.delete(this.tiles.keys().next().value);
    return tile;
  }

  stroke(colour, wide, dash = []) {
    const { context } = this;
    context.setLineDash([]);
    context.lineWidth = wide + 2;
    context.strokeStyle = "rgba(0,0,0,.6)";
    context.stroke();
    context.setLineDash(dash);
    context.lineWidth = wide;
    context.strokeStyle = colour;
    context.stroke();
    context.setLineDash([]);
  }

  paintFrame() {
    const [a, b] = this.frame.map((corner) => this.toScreen(corner.slice(-2))), { context } = this;
    const [height, width] = this.size, isSmall = b[0] - a[0] < height / 3 && b[1] - a[1] < width / 3;
    context.fillStyle = "rgba(0,0,0,.3)";
    context.beginPath();
    context.rect(0, 0, width, height);
    context.rect(a[1], a[0], b[1] - a[1], b[0] - a[0]);
    if (!isSmall) context.fill("evenodd"); // whoever looks at the whole image shall see it
    context.beginPath();
    context.rect(a[1], a[0], b[1] - a[1], b[0] - a[0]);
    this.stroke(COLOURS.frame, 1.5);
  }

  paintItems() {
    const current = this.items.get(this.current), shown = this.onScreen().filter((item) => item !== current);
    if (shown.length > MANY) this.paintMany(shown);
    else shown.forEach((item) => this.paintItem(item, false));
    if (current) this.paintItem(current, true);
  }

  // Items that reach into the picture.
  onScreen() {
    const widest = 300 + Math.max(0, ...Object.values(this.sheet.diameters_um)) * this.scale;
    const [top, left] = this.fromScreen([-widest, -widest]), [bottom, right] = this.fromScreen(this.size.map((n) => n + widest));
    const shown = [];
    for (const item of this.items.values()) {
      const y = item.position_um.at(-2), x = item.position_um.at(-1);
      const within = y >= top && y <= bottom && x >= left && x <= right;
      if ((within || this.outlines[item.id]) && this.isNear(item)) shown.push(item);
    }
    return shown;
  }

  // As many at once as look alike: one by one they would take seconds.
  paintMany(items) {
    const groups = new Map();
    for (const item of items) {
      const group = `${this.colourOf(item)} ${shapeOf(item.kind, this.sheet.kinds)}`;
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(item);
    }
    for (const [group, alike] of groups) {
      const [colour, shape] = group.split(" ");
      this.context.beginPath();
      for (const item of alike) {
        const [y, x] = this.toScreen(item.position_um.slice(-2)), r = items.length > CROWD ? 2 : this.radius(item);
        if (r === 2) this.context.rect(x - 1, y - 1, 2, 2);
        else trace(this.context, shape, x, y, r);
      }
      if (items.length > CROWD) Object.assign(this.context, { fillStyle: colour }).fill();
      else this.stroke(colour, 1.5);
    }
  }

  paintItem(item, isCurrent) {
    const rings = this.outlines[item.id], wide = isCurrent ? 3 : 1.7;
    const [y, x] = this.toScreen(item.position_um.slice(-2)), r = this.radius(item);
    if (rings) this.paintRings(rings, this.colourOf(item), wide, this.dashesOf(item));
    else {
      if (x < -r || y < -r || x > this.size[1] + r || y > this.size[0] + r) return;
      ring(this.context, shapeOf(item.kind, this.sheet.kinds), x, y, r);
      this.stroke(this.colourOf(item), wide, this.dashesOf(item));
    }
    if (item.status === "rejected") this.paintCross(x, y);
    if (isCurrent && !rings) this.paintCorners(x, y, r * 1.5 + 7);
  }

  paintRings(rings, colour, wide, dash) {
    const { context } = this, [y, x] = this.toScreen(this.toUm(0, 0));
    const lines = new Path2D();
    lines.addPath(path(rings), new DOMMatrix([this.scale * this.spacing[1], 0, 0, this.scale * this.spacing[0], x, y]));
    context.setLineDash([]);
    context.lineWidth = wide + 2;
    context.strokeStyle = "rgba(0,0,0,.6)";
    context.stroke(lines);
    context.setLineDash(dash);
    context.lineWidth = wide;
    context.strokeStyle = colour;
    context.stroke(lines);
    context.setLineDash([]);
  }

  paintCross(x, y) {
    const { context } = this;
    context.beginPath();
    for (const [a, b] of [[-4, -4], [-4, 4]]) { context.moveTo(x + a, y + b); context.lineTo(x - a, y - b); }
    this.stroke(COLOURS.rejected, 1.5);
  }

  paintCorners(x, y, r) {
    const { context } = this, arm = r / 3;
    context.beginPath();
    for (const [sx, sy] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
      context.moveTo(x + sx * r, y + sy * (r - arm));
      context.lineTo(x + sx * r, y + sy * r);
      context.lineTo(x + sx * (r - arm), y + sy * r);
    }
    this.stroke(COLOURS.frame, 2);
  }

  paintPen() {
    const { context } = this;
    if (this.cut) {
      const [y, x] = this.toScreen(this.cut.slice(-2));
      context.beginPath();
      context.arc(x, y, 5, 0, 7);
      this.stroke(COLOURS.drawn, 2.5);
    }
    if (this.drawn.length < 2) return;
    context.beginPath();
    this.drawn.forEach((um, i) => { const [y, x] = this.toScreen(um.slice(-2)); context[i ? "lineTo" : "moveTo"](x, y); });
    this.stroke(COLOURS.drawn, 2.5);
  }

  paintBar() {
    const { context } = this, longest = (this.size[1] * 0.2) / this.scale, power = 10 ** Math.floor(Math.log10(longest));
    const um = [5, 2, 1].map((n) => n * power).find((n) => n <= longest) ?? power, long = um * this.scale;
    const words = um < 0.9995 ? `${+(um * 1000).toPrecision(4)} nm` : um < 999.5 ? `${+um.toPrecision(4)} µm` : `${um / 1000} mm`;
    context.font = "600 13px system-ui, sans-serif";
    context.fillStyle = "rgba(20,24,29,.85)";
    context.fillRect(14, 14, Math.max(long, context.measureText(words).width) + 20, 36);
    context.fillStyle = "#fff";
    context.fillRect(24, 40, long, 4);
    context.fillText(words, 24, 33);
  }
}

const paths = new WeakMap();
function path(rings) {
  if (!paths.has(rings)) {
    const made = new Path2D();
    for (const line of rings) { line.forEach(([y, x], i) => made[i ? "lineTo" : "moveTo"](x + 0.5, y + 0.5)); made.closePath(); }
    paths.set(rings, made);
  }
  return paths.get(rings);
}

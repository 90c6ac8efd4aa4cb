"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs;
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const HEIGHT = 190, LEFT = 64, RIGHT = 10, TOP = 8, BOTTOM = 24;

  /* Text for people. */

  function digits(value) {
    const size = Math.abs(value);
    if (value === 0) return "0";
    return size >= 99.95 ? value.toFixed(0) : size >= 9.995 ? value.toFixed(1) : value.toFixed(2);
  }
  function scaled(value, steps, space) {
    for (const [unit, scale] of steps) {
      if (Math.abs(value) >= scale * 0.9995) return digits(value / scale) + space + unit;
    }
    return digits(value) + (space ? space + "B" : "");
  }
  const BYTES = [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]];
  const COUNTS = [["G", 1e9], ["M", 1e6], ["k", 1e3]];
  const spell = {
    bytes: (value) => scaled(value, BYTES, " "),
    rate: (value) => scaled(value, COUNTS, "") + "/s",
    percent: (value) => digits(value) + "%",
    seconds: (value) => digits(value) + " s",
  };

  /* Round numbers need no zeros behind the point. */
  const plain = (unit, value) => spell[unit](value).replace(/\.0+(?=\D|$)/, "");

  /* Places on an axis that are round numbers; bytes are round in powers of two. */
  function ticks(low, high, count, unit) {
    const span = high - low;
    if (!(span > 0)) return [low];
    let step;
    if (unit === "bytes") {
      step = 2 ** Math.ceil(Math.log2(span / count));
    } else {
      const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
      step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
    }
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) {
      found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
    }
    return found;
  }

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(NAMESPACE, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }
  function block(name, className, parent, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }
  function swatch(color, parent) {
    block("i", "", parent).style.background = color;
  }

  /* What all charts share: the run, the part of the time that is shown, the cursor. */

  const end = Math.max(0, ...runs.map((run) => run.seconds.at(-1) ?? 0));
  const state = { run: 0, from: 0, to: end, cursor: null };
  const charts = [];

  function zoom(from, to) {
    const least = end / 5000;
    state.from = Math.max(0, Math.min(from, end - least));
    state.to = Math.min(end, Math.max(to, state.from + least));
    document.getElementById("reset").disabled = state.from === 0 && state.to === end;
    charts.forEach((chart) => chart.draw());
  }

  /* The index of the sample nearest to a time. */
  function nearest(seconds, at) {
    let low = 0, high = seconds.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seconds[middle] < at) low = middle + 1; else high = middle;
    }
    return low > 0 && at - seconds[low - 1] < seconds[low] - at ? low - 1 : low;
  }

  /* A line of a chart: where its samples are, what they are, how it looks. */
  function line(label, color, run, values) {
    return { label, color, seconds: run.seconds, values };
  }
  function named(run, names) {
    return names
      .filter(([name]) => run.series[name])
      .map(([name, label, color]) => line(label, color, run, run.series[name]));
  }
  const runColor = (index) => `var(--s${index % 8})`;

  function byOrder(run) {
    const orders = Object.keys(data.orders).map(Number).filter((order) => run.series["memory.order" + order]);
    return orders.map((order, index) => {
      const tone = order === 0 ? 0 : 1 + Math.round((4 * (index - 1 + 1e-9)) / Math.max(1, orders.length - 2));
      const label = order === 0 ? `${data.orders[0]} pages` : data.orders[order];
      return line(label, `var(--order${orders.length < 3 && order ? 4 : tone})`, run, run.series["memory.order" + order]);
    });
  }
  function ofCgroups(run) {
    const names = Object.keys(run.series).filter((name) => name.startsWith("cgroup."));
    const size = (name) => Math.max(0, ...run.series[name]);
    names.sort((a, b) => size(b) - size(a));
    return names.slice(0, 8).map((name, index) => line(name.slice(7), `var(--s${index})`, run, run.series[name]));
  }
  function total(run) {
    const parts = Object.keys(run.series).filter((name) => name.startsWith("memory.order"));
    return run.seconds.map((_, index) => parts.reduce((sum, name) => sum + run.series[name][index], 0));
  }

  const SPECIFICATIONS = [
    { id: "memory-runs", title: "Memory of all runs", unit: "bytes", every: true,
      lines: () => runs.map((run, index) => line(run.title, runColor(index), run, total(run))) },
    { id: "pressure-runs", title: "Pressure (some) of all runs", unit: "percent", every: true,
      lines: () => runs.flatMap((run, index) => named(run, [["pressure.some", run.title, runColor(index)]])) },
    { id: "memory", title: "Memory by page size", unit: "bytes", stacked: true, lines: byOrder },
    { id: "cgroups", title: "Memory by cgroup", unit: "bytes", lines: ofCgroups },
    { id: "moves", title: "Migrations, splits and collapses", unit: "rate",
      lines: (run) => named(run, [["migrations", "pages moved", "var(--s0)"], ["splits", "splits", "var(--s1)"],
        ["collapses", "collapses", "var(--s2)"]]) },
    { id: "faults", title: "Page faults", unit: "rate",
      lines: (run) => named(run, [["faults", "faults", "var(--s0)"]]) },
    { id: "pressure", title: "Pressure", unit: "percent",
      lines: (run) => named(run, [["pressure.some", "some", "var(--s1)"], ["pressure.full", "full", "var(--s4)"]]) },
    { id: "decisions", title: "Decisions of the policy", unit: "rate", stacked: true,
      lines: (run) => named(run, [["decisions.allowed", "as requested", "var(--s2)"],
        ["decisions.narrowed", "narrowed", "var(--s6)"], ["decisions.denied", "denied", "var(--s4)"]]) },
  ];

  /* Lines one upon the other: each gets what lies below it. */
  function stacked(lines) {
    let below = null;
    return lines.map((each) => {
      const base = below ?? each.values.map(() => 0);
      below = each.values.map((value, index) => value + (base[index] ?? 0));
      return { ...each, base, top: below };
    });
  }

  class Chart {
    constructor(specification, parent) {
      this.specification = specification;
      this.box = block("figure", "chart", parent);
      this.box.style.margin = "0";
      this.box.id = "chart-" + specification.id;
      block("h3", "", this.box, specification.title);
      this.svg = element("svg", { tabindex: "0", height: HEIGHT, role: "img" }, null);
      this.box.append(this.svg);
      this.legend = block("div", "legend", this.box);
      this.readout = null;
      this.drag = null;
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.box);
    }

    /* The lines that are drawn, and the highest value in sight over all runs. */
    lines() {
      const { specification } = this;
      const found = specification.lines(runs[state.run]);
      return specification.stacked ? stacked(found) : found.map((each) => ({ ...each, top: each.values }));
    }
    highest() {
      const { specification } = this;
      let most = 0;
      for (const run of specification.every ? [runs[0]] : runs) {
        const found = specification.lines(run);
        for (const each of specification.stacked ? stacked(found) : found) {
          const values = each.top ?? each.values;
          each.seconds.forEach((at, index) => {
            if (at >= state.from && at <= state.to && values[index] > most) most = values[index];
          });
        }
      }
      return most;
    }

    draw() {
      const { svg, specification } = this;
      const width = Math.max(200, this.box.clientWidth);
      svg.replaceChildren();
      this.legend.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      const drawn = (this.drawn = this.lines());
      const most = this.highest();
      svg.setAttribute("aria-label", `${specification.title}, ${specification.every ? "all runs" : runs[state.run].title}, ` +
        `${spell.seconds(state.from)} to ${spell.seconds(state.to)}, at most ${spell[specification.unit](most)}`);
      if (!drawn.length || !drawn.some((each) => each.values.some((value) => value))) {
        block("span", "", this.legend, drawn.length ? "nothing all the time" : "nothing in this run");
      }
      const right = width - RIGHT, bottom = HEIGHT - BOTTOM;
      this.x = (at) => LEFT + ((at - state.from) / (state.to - state.from || 1)) * (right - LEFT);
      this.time = (x) => state.from + ((x - LEFT) / (right - LEFT)) * (state.to - state.from);
      const high = most || 1;
      const y = (value) => bottom - (value / high) * (bottom - TOP);
      for (const at of ticks(0, high, 4, specification.unit)) {
        element("line", { class: "grid", x1: LEFT, x2: right, y1: y(at), y2: y(at) }, svg);
        if (most) element("text", { x: LEFT - 8, y: y(at) + 4, "text-anchor": "end" }, svg, plain(specification.unit, at));
      }
      for (const at of ticks(state.from, state.to, Math.max(2, Math.floor(width / 110)), "seconds")) {
        const label = element("text", { class: "time", x: this.x(at), y: HEIGHT - 6, "text-anchor": "middle" }, svg, plain("seconds", at));
        if (this.x(at) > right - 14) label.setAttribute("text-anchor", "end");
      }
      const clip = "clip-" + specification.id;
      element("rect", { x: LEFT, y: 0, width: Math.max(0, right - LEFT), height: bottom + 1 },
        element("clipPath", { id: clip }, element("defs", {}, svg)));
      const plot = element("g", { "clip-path": `url(#${clip})` }, svg);
      // The first run is the policy's: its line comes last, above the others.
      for (const each of specification.stacked ? drawn : [...drawn].reverse()) this.path(plot, each, y);
      for (const each of drawn) {
        const item = block("span", "", this.legend);
        swatch(each.color, item);
        item.append(each.label);
      }
      this.marks = element("g", {}, svg);
      this.mark();
    }

    path(plot, each, y) {
      const { specification } = this;
      const first = Math.max(0, nearest(each.seconds, state.from) - 1);
      const last = Math.min(each.seconds.length - 1, nearest(each.seconds, state.to) + 1);
      const points = [];
      for (let index = first; index <= last; index++) {
        points.push(`${this.x(each.seconds[index]).toFixed(1)},${y(each.top[index]).toFixed(1)}`);
      }
      if (!points.length) return;
      if (specification.stacked) {
        for (let index = last; index >= first; index--) {
          points.push(`${this.x(each.seconds[index]).toFixed(1)},${y(each.base[index]).toFixed(1)}`);
        }
        element("polygon", { points: points.join(" "), style: `fill: ${each.color}` }, plot);
      } else {
        const strong = specification.every && each.label === runs[0].title ? 2.5 : 1.5;
        element("polyline", { points: points.join(" "), style: `fill: none; stroke: ${each.color}; stroke-width: ${strong}` }, plot);
      }
    }

    /* The cursor, the selection, and the values at the cursor. */
    mark() {
      if (!this.marks) return;
      this.marks.replaceChildren();
      if (this.readout) this.readout.remove();
      this.readout = null;
      if (this.drag && this.drag.moved) {
        const [from, to] = [this.drag.from, this.drag.to].sort((a, b) => a - b);
        element("rect", { class: "selection", x: from, y: TOP, width: to - from, height: HEIGHT - BOTTOM - TOP }, this.marks);
      }
      const at = state.cursor;
      if (at === null || at < state.from || at > state.to || !this.drawn.length) return;
      const shown = this.x(at);
      element("line", { class: "cursor", x1: shown, x2: shown, y1: TOP, y2: HEIGHT - BOTTOM }, this.marks);
      if (state.hovered === this) this.read(at, shown);
    }

    read(at, shown) {
      const { unit, stacked: adds } = this.specification;
      this.readout = block("div", "readout", this.box);
      block("b", "", this.readout, spell.seconds(at));
      const said = [spell.seconds(at)];
      let sum = 0;
      // As they lie: the highest of a stack first.
      const lines = adds ? [...this.drawn].reverse() : this.drawn;
      for (const each of lines) {
        const index = nearest(each.seconds, at);
        if (each.seconds.length && at > each.seconds.at(-1) + 1e-9) continue;
        const row = block("div", "", this.readout);
        const name = block("span", "", row);
        swatch(each.color, name);
        name.append(each.label);
        const value = spell[unit](each.values[index] ?? 0);
        block("span", "", row, value);
        said.push(`${each.label} ${value}`);
        sum += each.values[index] ?? 0;
      }
      if (adds && lines.length > 1) {
        const row = block("div", "", this.readout);
        block("span", "", row, "together");
        block("span", "", row, spell[unit](sum));
      }
      const width = this.readout.offsetWidth, room = this.box.clientWidth;
      const left = shown + 14 + width < room ? shown + 14 : Math.max(0, shown - 14 - width);
      this.readout.style.left = `${left}px`;
      this.readout.style.top = "2.2rem";
      if (state.spoken) document.getElementById("said").textContent = said.join(", ");
    }

    place(event) {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * Math.max(200, this.box.clientWidth);
      return Math.min(Math.max(x, LEFT), Math.max(200, this.box.clientWidth) - RIGHT);
    }

    /* The cursor goes to a sample of the lines that are drawn. */
    point(at, spoken) {
      const seconds = (this.drawn.find((each) => each.seconds.length) ?? runs[state.run]).seconds;
      if (!seconds.length) return;
      state.cursor = Math.min(Math.max(seconds[nearest(seconds, at)], state.from), state.to);
      state.hovered = this;
      state.spoken = spoken;
      charts.forEach((chart) => chart.mark());
    }

    listen() {
      const { svg } = this;
      svg.addEventListener("pointermove", (event) => {
        const x = this.place(event);
        if (this.drag) {
          this.drag.to = x;
          this.drag.moved ||= Math.abs(x - this.drag.from) > 5;
        }
        this.point(this.time(x), false);
      });
      svg.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        const x = this.place(event);
        this.drag = { from: x, to: x, moved: false };
        svg.setPointerCapture(event.pointerId);
      });
      svg.addEventListener("pointerup", () => {
        const drag = this.drag;
        this.drag = null;
        if (drag && drag.moved) {
          const [from, to] = [drag.from, drag.to].sort((a, b) => a - b);
          zoom(this.time(from), this.time(to));
        }
      });
      svg.addEventListener("pointercancel", () => { this.drag = null; });
      svg.addEventListener("pointerleave", () => {
        if (this.drag) return;
        state.cursor = null;
        state.hovered = null;
        charts.forEach((chart) => chart.mark());
      });
      svg.addEventListener("dblclick", () => zoom(0, end));
      svg.addEventListener("wheel", (event) => {
        // Without Ctrl the wheel goes on scrolling the page.
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.scale(event.deltaY > 0 ? 1.25 : 0.8, this.time(this.place(event)));
      }, { passive: false });
      svg.addEventListener("keydown", (event) => this.key(event));
    }

    scale(factor, around) {
      const from = around - (around - state.from) * factor, to = around + (state.to - around) * factor;
      zoom(from, to);
      this.point(around, false);
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const seconds = (this.drawn.find((each) => each.seconds.length) ?? { seconds: [] }).seconds;
      if (!seconds.length) return;
      const middle = (state.from + state.to) / 2;
      const at = state.cursor ?? middle;
      const move = (count) => {
        const index = nearest(seconds, at) + count;
        const next = seconds[Math.min(Math.max(index, 0), seconds.length - 1)];
        const span = state.to - state.from;
        if (next < state.from) zoom(next, next + span);
        if (next > state.to) zoom(next - span, next);
        this.point(next, true);
      };
      const steps = event.shiftKey ? 10 : 1;
      switch (event.key) {
        case "ArrowLeft": move(-steps); break;
        case "ArrowRight": move(steps); break;
        case "Home": move(-seconds.length); break;
        case "End": move(seconds.length); break;
        case "+": case "=": this.scale(0.5, at); break;
        case "-": case "_": this.scale(2, at); break;
        case "0": case "Escape": zoom(0, end); break;
        default: return;
      }
      event.preventDefault();
    }
  }

  /* Memory against speed, a point for each run. */
  class TradeOff {
    constructor(box) {
      this.box = box;
      this.svg = element("svg", { height: 260, role: "img", "aria-label":
        "Memory and speed: " + runs.map((run) => `${run.title} ${spell.bytes(run.memory)}, ${spell.rate(run.speed)}`).join("; ") }, null);
      box.append(this.svg);
      new ResizeObserver(() => this.draw()).observe(box);
    }

    draw() {
      const height = 260, width = Math.max(240, this.box.clientWidth);
      const { svg } = this;
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const [left, right, top, bottom] = [84, width - 24, 16, height - 46];
      const range = (read) => {
        const values = runs.map(read), low = Math.min(...values), high = Math.max(...values);
        const edge = (high - low || Math.abs(high) * 0.1 || 1) * 0.12;
        return [Math.max(0, low - edge), high + edge];
      };
      const [least, most] = range((run) => run.memory), [slow, fast] = range((run) => run.speed);
      const x = (value) => left + ((value - least) / (most - least)) * (right - left);
      const y = (value) => bottom - ((value - slow) / (fast - slow)) * (bottom - top);
      for (const at of ticks(least, most, Math.max(2, Math.floor(width / 130)), "bytes")) {
        element("line", { class: "grid", x1: x(at), x2: x(at), y1: top, y2: bottom }, svg);
        element("text", { x: x(at), y: bottom + 18, "text-anchor": "middle" }, svg, plain("bytes", at));
      }
      for (const at of ticks(slow, fast, 5, "rate")) {
        element("line", { class: "grid", x1: left, x2: right, y1: y(at), y2: y(at) }, svg);
        element("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, svg, plain("rate", at));
      }
      element("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, svg, "memory, average");
      element("text", { x: 14, y: (top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + bottom) / 2})` }, svg, data.speed);
      const swept = runs.filter((run) => run.policy);
      if (swept.length > 1) {
        element("polyline", { points: swept.map((run) => `${x(run.memory)},${y(run.speed)}`).join(" "),
          style: "fill: none; stroke: var(--s0); stroke-width: 1.5; stroke-dasharray: 4 3" }, svg);
      }
      const labels = [];
      runs.forEach((run, index) => {
        const [cx, cy] = [x(run.memory), y(run.speed)];
        const color = run.policy ? "var(--s0)" : runColor(index);
        const bar = (dx, dy) => element("line", { x1: cx - dx, x2: cx + dx, y1: cy - dy, y2: cy + dy, style: `stroke: ${color}; opacity: .6` }, svg);
        if (run.memory_deviation) bar((run.memory_deviation / (most - least)) * (right - left), 0);
        if (run.speed_deviation) bar(0, (run.speed_deviation / (fast - slow)) * (bottom - top));
        const point = element("circle", { class: "point", tabindex: "0", cx, cy, r: run.policy ? 6 : 4.5, style: `fill: ${color}` }, svg);
        if (run.oom_kill) element("path", { d: `M${cx - 8},${cy - 8}l16,16m0,-16l-16,16`, style: "stroke: var(--bad); stroke-width: 1.5", "pointer-events": "none" }, svg);
        const end = cx > (left + right) / 2;
        let at = cy + 4;
        // A label moves down until it is clear of those before it.
        while (labels.some(([ox, oy, oe]) => oe === end && Math.abs(ox - cx) < 120 && Math.abs(oy - at) < 14)) at += 14;
        labels.push([cx, at, end]);
        element("text", { class: "name", x: cx + (end ? -11 : 11), y: at, "text-anchor": end ? "end" : "start" }, svg, run.title);
        const show = () => this.show(run, cx, cy), hide = () => this.hide();
        point.addEventListener("pointerenter", show);
        point.addEventListener("focus", show);
        point.addEventListener("pointerleave", hide);
        point.addEventListener("blur", hide);
      });
    }

    show(run, x, y) {
      this.hide();
      this.readout = block("div", "readout", this.box);
      block("b", "", this.readout, run.title);
      for (const [label, value] of [["memory, average", spell.bytes(run.memory)], [data.speed, spell.rate(run.speed)], ["OOM kills", digits(run.oom_kill)]]) {
        const row = block("div", "", this.readout);
        block("span", "", row, label);
        block("span", "", row, value);
      }
      const width = this.readout.offsetWidth;
      this.readout.style.left = `${x + 14 + width < this.box.clientWidth ? x + 14 : Math.max(0, x - 14 - width)}px`;
      this.readout.style.top = `${y + 10}px`;
    }

    hide() {
      if (this.readout) this.readout.remove();
      this.readout = null;
    }
  }

  const choice = document.getElementById("run");
  runs.forEach((run, index) => {
    const option = block("option", "", choice, run.title);
    option.value = String(index);
  });
  choice.addEventListener("change", () => {
    state.run = Number(choice.value);
    charts.forEach((chart) => chart.draw());
  });
  document.getElementById("reset").addEventListener("click", () => zoom(0, end));

  const place = document.getElementById("charts");
  if (end > 0) {
    for (const specification of SPECIFICATIONS) {
      if (specification.every && runs.length < 2) continue;
      if (!runs.some((run) => specification.lines(run).length)) continue;
      charts.push(new Chart(specification, place));
    }
  } else {
    block("p", "small", place, "These runs have no timeline.");
  }
  const tradeoff = document.getElementById("tradeoff");
  if (tradeoff) new TradeOff(tradeoff);
})();

"""The style and the script of the page in `_page`."""

STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --sheet: #fff; --ink: #22272e; --faint: #5b6570; --line: #e1e5ea;
  --accent: #2a6fbb; --warn: #c9821a; --c0: #2a6fbb; --c1: #c2452d; --c2: #2f8561; --c3: #84549b; --c4: #b07a10; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --sheet: #1c2026; --ink: #e6e9ed; --faint: #9aa5b1;
  --line: #2e353d; --accent: #6cabee; --warn: #dfae4e;
  --c0: #6cabee; --c1: #f0836b; --c2: #5fc498; --c3: #c398dc; --c4: #dfae4e; } }
* { box-sizing: border-box; }
body { margin: 0; padding: clamp(.8rem, 2.5vw, 2rem); background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main { max-width: 110rem; margin: 0 auto; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; letter-spacing: -.01em; overflow-wrap: anywhere; }
header p { margin: .2rem 0 1.2rem; color: var(--faint); }
h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
h3 { margin: 1.1rem 0 .4rem; font-size: .8rem; font-weight: 600; letter-spacing: .04em; text-transform: uppercase;
  color: var(--faint); }
main { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); align-items: start; }
.picture, .card { background: var(--sheet); border: 1px solid var(--line); border-radius: .7rem; padding: 1rem 1.1rem; }
.bar { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; }
.choice { display: inline-flex; border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; }
.choice button { font: inherit; font-size: .85rem; padding: .3rem .9rem; border: 0; background: none;
  color: var(--faint); cursor: pointer; }
.choice button[aria-pressed=true] { background: var(--accent); color: var(--sheet); font-weight: 600; }
.choice button:disabled { opacity: .4; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
#chart { height: clamp(18rem, 55vh, 34rem); }
.spikeline:first-child { stroke-opacity: 0 !important; } /* plotly's halo would hide what stands beside it */
#reset { font: inherit; font-size: .85rem; margin-right: .6rem; padding: .3rem .9rem; border: 1px solid var(--line);
  border-radius: .5rem; background: none; color: var(--faint); cursor: pointer; }
.read { display: grid; grid-template-columns: fit-content(60%) minmax(0, 1fr); gap: .1rem 1.2rem; align-items: center;
  margin: .2rem 0 0; font-variant-numeric: tabular-nums; }
.read dt, .read dd { margin: 0; min-width: 0; }
.read dt { display: flex; align-items: center; overflow-wrap: anywhere; }
.read dd { font-weight: 600; overflow-wrap: anywhere; }
.read .at { color: var(--faint); font-weight: 400; }
.read label { display: flex; align-items: center; min-width: 0; cursor: pointer; }
.read input { flex: none; margin: 0 .6em 0 0; accent-color: var(--accent); }
.note { margin: .5rem 0 0; font-size: .82rem; color: var(--faint); }
.cards { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
.key { display: inline-block; flex: none; width: 1.5em; margin-right: .6em; vertical-align: middle;
  border-top: .26em solid var(--c0); border-radius: .1em; }
.key1 { border-color: var(--c1); } .key2 { border-color: var(--c2); } .key3 { border-color: var(--c3); }
.key4 { border-color: var(--c4); } .dash1 { border-top-style: dashed; } .dash2 { border-top-style: dotted; }
.expression { margin: .6rem 0 0; max-height: 6.5rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .8rem/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; color: var(--faint); }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
caption code, caption br { display: none; } /* it stands above */
caption { text-align: left; color: var(--faint); padding-bottom: .3rem; }
td:last-child { min-width: 5rem; }
th, td { padding: .32rem .55rem .32rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--faint); }
tbody th { font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
.findings { margin: 0; padding: 0; list-style: none; }
.findings li { padding: .55rem 0 .55rem .8rem; border-left: .2rem solid var(--warn); }
.findings li + li { margin-top: .6rem; }
.findings p { margin: .1rem 0 0; }
.findings .where { margin-left: .6em; color: var(--faint); font-size: .85rem; }
.findings .cure { color: var(--faint); }
.fine { margin: 0; color: var(--faint); }
@media (min-width: 70rem) { main { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .picture { position: sticky; top: 1rem; } #chart { height: clamp(18rem, calc(100vh - 21rem), 36rem); } }
@media (max-width: 34rem) { .read { font-size: .85rem; grid-template-columns: fit-content(45%) minmax(0, 1fr); }
  .read dd { font-size: .78rem; } }
@media print { .picture { position: static; } .choice { display: none; } .expression { max-height: none; } }
"""

SCRIPT = """
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const dashes = ["solid", "dash", "dot"];
  const many = data.curves.length > 1;
  const whole = new Intl.NumberFormat("en"), epochs = new Intl.NumberFormat("en", {maximumFractionDigits: 4});
  const hidden = new Set();
  let isLog = data.log;

  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const stroke = at => colour("--c" + at % 5);
  // What cannot stand on a log axis lies far below it, so the curve leaves through the bottom.
  const height = value => isLog && value <= 0 ? data.range[0] * 1e-6 : value;
  const inEpochs = steps => steps.map(step => step / data.epoch);

  // ---- What is drawn ----

  // The line has a vertex more for each jump: the old value, where the new one begins.
  function line(curve) {
    const x = [], y = [], jumps = new Set(curve.jumps);
    data.steps.forEach((step, at) => {
      if (jumps.has(at)) { x.push(step); y.push(height(curve.values[at - 1])); }
      x.push(step); y.push(height(curve.values[at]));
    });
    return {x, y};
  }

  // After the lines, their points alone: these are the schedules' own, so only they answer to a hover.
  function traces() {
    const drawn = data.curves.map((curve, at) => ({...line(curve), hoverinfo: "skip",
      mode: data.steps.length > 1 ? "lines" : "markers", marker: {color: stroke(at), size: 7}, visible: !hidden.has(at),
      line: {color: stroke(at), width: 2.2, dash: dashes[Math.floor(at / 5) % 3], simplify: false}}));
    const points = {x: data.steps, y: data.curves[0].values.map(height), mode: "lines", hoverinfo: "none",
      line: {color: stroke(0), width: 0}};
    const above = data.epoch ? [{x: [null], y: [null], xaxis: "x2", hoverinfo: "skip"}] : [];
    return [...drawn, points, ...above];
  }

  const boundaries = () => data.curves.flatMap((curve, at) => hidden.has(at) || curve.boundaries.length > 40 ? []
    : curve.boundaries.map(step => ({type: "line", x0: step, x1: step, yref: "paper", y0: 0, y1: many ? 0.025 : 1,
      layer: "below", line: {color: many ? stroke(at) : colour("--faint"), width: many ? 2 : 1,
        dash: many ? "solid" : "dot"}})));

  function linearRange() {
    let low = 0, high = 0;
    for (const {values} of data.curves)
      for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    const room = 0.06 * (high - low) || 1;
    return [low < 0 ? low - room : 0, high > 0 ? high + room : room];
  }

  function layout() {
    const axis = title => ({gridcolor: colour("--line"), zeroline: false, tickfont: {color: colour("--faint")},
      title: {text: title, standoff: 8, font: {size: 13, color: colour("--faint")}}});
    const x = {...axis("update"), range: [0, data.n], tickformatstops: [{dtickrange: [null, 0.99], value: "~g"},
      {dtickrange: [0.99, null], value: "~s"}], showspikes: true, spikemode: "across", spikesnap: "hovered data",
      spikethickness: 1, spikedash: "solid", spikecolor: colour("--faint")};
    const y = {...axis(""), type: isLog ? "log" : "linear", exponentformat: isLog ? "power" : "e",
      range: isLog ? data.range.map(Math.log10) : linearRange(), nticks: 8};
    if (isLog) Object.assign(y, y.range[1] - y.range[0] > 2 ? {dtick: 1} : {dtick: "D2", tickformat: "~g"});
    const x2 = {...axis("epoch"), overlaying: "x", side: "top", showgrid: false, fixedrange: true,
      range: inEpochs([0, data.n])};
    return {
      font: {family: "system-ui, sans-serif", size: 12.5, color: colour("--ink")}, separators: ".,",
      paper_bgcolor: colour("--sheet"), plot_bgcolor: colour("--sheet"), showlegend: false, hovermode: "x",
      hoverdistance: -1, dragmode: "zoom", margin: {l: 62, r: 16, t: data.epoch ? 46 : 16, b: 48},
      shapes: boundaries(), xaxis: x, yaxis: y, ...(data.epoch ? {xaxis2: x2} : {}),
    };
  }

  function show(keep) {
    const next = layout(), now = chart.layout;
    if (keep && now) {
      next.xaxis.range = now.xaxis.range.slice();
      if (data.epoch) next.xaxis2.range = inEpochs(next.xaxis.range);
    }
    if (keep === "both" && now) next.yaxis.range = now.yaxis.range.slice();
    document.getElementById("linear").setAttribute("aria-pressed", String(!isLog));
    document.getElementById("log").setAttribute("aria-pressed", String(isLog));
    document.getElementById("note").textContent = note();
    return Plotly.react(chart, traces(), next, {displayModeBar: false, responsive: true, doubleClick: false});
  }

  function note() {
    const below = isLog && data.curves.some(curve => curve.values.some(value => value <= 0));
    return "Drag to zoom, double-click to see all; arrow keys read on. " + (data.steps.length < data.n
      ? whole.format(data.steps.length) + " of " + whole.format(data.n) + " updates are drawn: the corners, and "
        + "between them all that a pixel would hide."
      : "Every update is drawn.")
      + (below ? " 0 and less lie below a log axis; it shows " + data.decades + " decades of the way there." : "");
  }

  // ---- What is read ----

  let current = 0;

  function read(at) {
    const step = data.steps[current = at];
    document.getElementById("step").textContent = whole.format(step)
      + (data.epoch ? " (epoch " + epochs.format(step / data.epoch) + ")" : "");
    data.curves.forEach((curve, which) => {
      document.getElementById("value" + which).textContent = String(curve.values[at]);
    });
  }

  document.getElementById("linear").addEventListener("click", () => { isLog = false; show("x"); });
  document.getElementById("log").addEventListener("click", () => { isLog = true; show("x"); });
  document.getElementById("reset").addEventListener("click", () => show());
  document.getElementById("log").disabled = data.range === null;
  document.querySelectorAll(".read input").forEach((box, at) => box.addEventListener("change", () => {
    if (box.checked) hidden.delete(at); else hidden.add(at);
    show("both");
  }));
  chart.addEventListener("keydown", event => {
    const way = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!way) return;
    event.preventDefault();
    const far = event.shiftKey ? Math.ceil(data.steps.length / 50) : 1;
    read(Math.min(Math.max(current + way * far, 0), data.steps.length - 1));
    Plotly.Fx.hover(chart, [{curveNumber: data.curves.length, pointNumber: current}]);
  });
  dark.addEventListener("change", () => show("both"));
  chart.replaceChildren();
  show().then(() => {
    read(0);
    chart.on("plotly_doubleclick", () => { show(); });
    chart.on("plotly_hover", event => read(event.points[0].pointIndex));
    if (data.epoch) chart.on("plotly_relayout", () => {
      const wanted = inEpochs(chart.layout.xaxis.range), now = chart.layout.xaxis2.range;
      if (wanted[0] !== now[0] || wanted[1] !== now[1]) Plotly.relayout(chart, {"xaxis2.range": wanted});
    });
    document.documentElement.dataset.ready = "yes";
  });
})();
"""

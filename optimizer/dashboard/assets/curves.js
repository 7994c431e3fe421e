// Curves that grow while a run of the laboratory goes on.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const [WIDTH, HEIGHT, LEFT, BELOW, ABOVE] = [720, 190, 56, 34, 22];

function draw(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// figures: by policy, time_h and one list for each of the charts.
export function curves(figures) {
  return [
    chart(figures, "cards", "cards held"),
    chart(figures, "kept_percent", "requests within their objectives [%]"),
  ];
}

function chart(figures, name, words) {
  const runs = Object.entries(figures);
  const most = (values) => Math.max(...values.flat(), 1e-9);
  const [hours, top] = [most(runs.map(([, run]) => run.time_h)), most(runs.map(([, run]) => run[name]))];
  const x = (hour) => LEFT + ((WIDTH - LEFT - 10) * hour) / hours;
  const y = (value) => HEIGHT - BELOW - ((HEIGHT - BELOW - ABOVE) * value) / top;
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${words} over time [h]`, class: "curves" });
  svg.append(draw("text", { x: LEFT, y: 13 }, words));
  for (const value of [0, top / 2, top]) {
    svg.append(
      draw("line", { x1: LEFT, x2: WIDTH - 10, y1: y(value), y2: y(value), class: "grid" }),
      draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)),
    );
  }
  for (const hour of [0, hours / 2, hours]) {
    svg.append(draw("text", { x: x(hour), y: HEIGHT - 16, "text-anchor": hour ? "end" : "start" }, `${short(hour)} h`));
  }
  runs.forEach(([policy, run], place) => {
    const points = run.time_h.map((hour, at) => `${x(hour).toFixed(1)},${y(run[name][at]).toFixed(1)}`).join(" ");
    const stroke = COLOURS[place % COLOURS.length];
    svg.append(
      draw("polyline", { points, fill: "none", stroke, "stroke-width": place ? 1.4 : 2.4, "stroke-dasharray": DASHES[place % DASHES.length] }),
      draw("text", { x: WIDTH - 12 - 100 * place, y: 13, "text-anchor": "end", fill: stroke }, policy),
    );
  });
  return svg;
}

const short = (value) => (value >= 10 ? value.toFixed(0) : value.toFixed(1));

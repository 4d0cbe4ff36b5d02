// Small pictures of numbers. Colours are classes of the style sheet, so that both themes have their own.

import { svg } from "./dom.js";

// A line over the latest values, the newest on the right.
export const spark = (values, label, places = 60) => {
  const [width, height] = [160, 36];
  const most = Math.max(1e-9, ...values);
  const at = (value, index) => [width - ((values.length - 1 - index) * width) / (places - 1), height - 2 - (value / most) * (height - 6)];
  const points = values.map(at).map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  const line = points.length > 1 ? svg("polyline", { points: points.join(" "), class: "spark-line" }) : null;
  const first = points.length ? points[0].split(",")[0] : width;
  const area = points.length > 1 ? svg("polygon", { points: `${first},${height} ${points.join(" ")} ${width},${height}`, class: "spark-area" }) : null;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", preserveAspectRatio: "none", role: "img", "aria-label": label }, area, svg("line", { x1: 0, x2: width, y1: height - 1, y2: height - 1, class: "axis" }), line);
};

const frame = (width, height, label, ...children) => svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label }, children);

const text = (x, y, said, anchor = "middle", kind = "tick") => {
  const made = svg("text", { x, y, "text-anchor": anchor, class: kind });
  made.textContent = said;
  return made;
};

// How many prompts got which score, with the thresholds over it. `bins` are [upper bound, count] from 0 to 1.
export const scores = (bins, steps, label) => {
  const [width, height, left, bottom, top] = [420, 150, 8, 22, 16];
  const most = Math.max(1, ...bins.map(([, count]) => count));
  const x = (value) => left + value * (width - 2 * left);
  const y = (value) => height - bottom - (value / most) * (height - bottom - top);
  let before = 0;
  const bars = bins.map(([bound, count]) => {
    const made = svg("rect", { x: x(before) + 0.5, width: Math.max(0.5, x(bound) - x(before) - 1), y: y(count), height: height - bottom - y(count), class: "score-bar" }, svg("title"));
    made.firstChild.textContent = `${before} to ${bound}: ${count}`;
    before = bound;
    return made;
  });
  const lines = steps.filter((step) => step.at > 0).map((step) => [
    svg("line", { x1: x(step.at), x2: x(step.at), y1: top - 4, y2: height - bottom, class: "threshold" }),
    text(x(step.at), top - 6, step.name, step.at > 0.8 ? "end" : step.at < 0.2 ? "start" : "middle", "tick strong"),
  ]);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => text(x(value), height - 7, String(value), value === 0 ? "start" : value === 1 ? "end" : "middle"));
  return frame(width, height, label, svg("line", { x1: left, x2: width - left, y1: height - bottom, y2: height - bottom, class: "axis" }), bars, lines, ticks);
};

// The curve from what a head says to what comes true, beside the line of a head that needs none.
export const curve = (points, label) => {
  const [size, edge, bottom] = [190, 26, 24];
  const x = (value) => edge + value * (size - edge - 8);
  const y = (value) => size - bottom - value * (size - bottom - 10);
  const path = points.map(([from, to]) => `${x(from).toFixed(1)},${y(to).toFixed(1)}`).join(" ");
  const ticks = [0, 0.5, 1].map((value) => [
    svg("line", { x1: x(0), x2: x(1), y1: y(value), y2: y(value), class: "grid" }),
    text(edge - 5, y(value) + 3.5, String(value), "end"),
    text(x(value), size - 8, String(value), value === 0 ? "start" : value === 1 ? "end" : "middle"),
  ]);
  return frame(size, size, label, ticks, svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "diagonal" }), svg("polyline", { points: path, class: "curve" }));
};

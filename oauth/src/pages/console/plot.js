// A small plot of how long calls took: one bar each, drawn as SVG by the DOM alone.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 160;
const FOOT = 24;
const HEAD = 20;

const element = (name, attributes, text) => {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  if (text !== undefined) {
    made.textContent = text;
  }
  return made;
};

/** The middle one of some numbers. */
export const median = (numbers) => {
  const sorted = numbers.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** What the numbers are, in words. */
export const facts = (calls) => {
  const times = calls.map(({ milliseconds }) => milliseconds);
  const failed = calls.filter(({ status }) => status >= 400).length;
  const [low, high] = [Math.min(...times), Math.max(...times)].map(Math.round);
  const words = `${calls.length} calls: ${low} to ${high} ms, median ${Math.round(median(times))} ms`;
  return failed === 0 ? `${words}; all succeeded` : `${words}; ${failed} failed`;
};

/** Draws calls, each with `milliseconds` and `status`; `places` is how many there will be. */
export const draw = (calls, places) => {
  const svg = element("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": calls.length > 0 ? facts(calls) : "No calls yet",
  });
  const highest = Math.max(1, ...calls.map(({ milliseconds }) => milliseconds));
  const room = WIDTH / places;
  const baseline = HEIGHT - FOOT;
  svg.append(element("line", { x1: 0, x2: WIDTH, y1: baseline + 0.5, y2: baseline + 0.5, class: "axis" }));
  calls.forEach(({ milliseconds, status }, index) => {
    const height = Math.max(2, (milliseconds / highest) * (baseline - HEAD));
    const left = index * room + room * 0.2;
    const middle = index * room + room / 2;
    svg.append(
      element("rect", {
        x: left,
        y: baseline - height,
        width: room * 0.6,
        height,
        rx: 3,
        class: status < 400 ? "bar" : "bar failed",
      }),
      element("text", { x: middle, y: baseline - height - 5 }, Math.round(milliseconds)),
      element("text", { x: middle, y: HEIGHT - 6, class: "quiet" }, status),
    );
  });
  return svg;
};

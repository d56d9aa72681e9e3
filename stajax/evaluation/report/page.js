
"use strict";
// The fragment says what is shown: #model=0|all&sort=NSS&order=ascending|descending&video=AVAD/V1.
(() => {
  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("js");

  const wanted = () => new URLSearchParams(location.hash.slice(1));
  const remember = (changes) => {
    const fragment = wanted();
    for (const [key, value] of [...fragment]) if (value === "") fragment.delete(key); // #scores, a part of the page
    for (const [key, value] of Object.entries(changes)) fragment.set(key, value);
    history.replaceState(null, "", "#" + fragment);
  };

  // The table of videos.
  const body = document.querySelector("table.videos tbody");
  const rows = [...body.rows];
  const heads = [...document.querySelectorAll("table.videos thead th")];
  const models = byId("model");

  const showModel = (model) => {
    models.value = model;
    if (models.selectedIndex < 0) models.selectedIndex = 0;
    for (const row of rows) row.hidden = models.value !== "all" && row.dataset.m !== models.value;
  };

  const sort = (label, order) => {
    const column = heads.findIndex((head) => head.textContent === label);
    if (column < 0) return;
    const numeric = heads[column].classList.contains("num");
    const up = order ? order === "ascending" : !numeric;
    const keyed = rows.map((row) => {
      const shown = row.cells[column].textContent;
      return [numeric ? parseFloat(shown) : shown, row];
    });
    const missing = ([key]) => (Number.isNaN(key) ? 1 : 0); // last, whatever the order
    const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    keyed.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : compare(a[0], b[0]) * (up ? 1 : -1)));
    body.append(...keyed.map(([, row]) => row));
    for (const head of heads) head.setAttribute("aria-sort", "none");
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    byId("sorted").textContent = `Sorted by ${label}, ${up ? "ascending" : "descending"}`;
  };

  models.addEventListener("change", () => {
    showModel(models.value);
    remember({ model: models.value });
  });
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      sort(head.textContent, { ascending: "descending", descending: "ascending" }[before]);
      remember({ sort: head.textContent, order: head.getAttribute("aria-sort") });
    });
  }

  // The curves.
  const embedded = byId("curves");
  const content = embedded && JSON.parse(embedded.textContent);
  const HEIGHT = 150, LEFT = 38, RIGHT = 8, TOP = 8, BOTTOM = 20;
  let video = null, cursor = null, charts = [];

  const svg = (name, attributes, parent, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const styleOf = (model) => `line m${model % 7}` + (model < content.predictions ? " prediction" : "");
  const shown = (value) => (value === null ? "–" : (value / 1000).toFixed(3));
  const ticks = (low, high) => {
    const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
    return found;
  };
  const plain = (value) => String(Math.round(value * 1000) / 1000);

  const drawChart = (metric, index, figure, width) => {
    const caption = document.createElement("figcaption"), name = document.createElement("b");
    const output = document.createElement("output");
    name.textContent = metric.label;
    caption.append(name, output);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img" });
    figure.append(caption, picture);

    const curves = video.values.map((model) => model[index]);
    const x = video.times || video.frames;
    const numbers = curves.flat().filter((value) => value !== null).map((value) => value / 1000);
    if (!numbers.length) {
      svg("text", { x: LEFT, y: HEIGHT / 2 }, picture, "no frame has a value");
      picture.setAttribute("aria-label", `${metric.label}: no frame has a value`);
      return { output, curves };
    }
    let low = numbers.reduce((a, b) => Math.min(a, b)), high = numbers.reduce((a, b) => Math.max(a, b));
    picture.setAttribute("aria-label", `${metric.label} over time, between ${plain(low)} and ${plain(high)}`);
    const margin = (high - low || 0.1) * 0.06;
    low -= margin;
    high += margin;
    const start = x[0], end = x[x.length - 1];
    const px = (value) => LEFT + ((value - start) / (end - start || 1)) * (width - LEFT - RIGHT);
    const py = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);

    for (const tick of ticks(low, high)) {
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: py(tick), y2: py(tick) }, picture);
      svg("text", { x: LEFT - 5, y: py(tick) + 4, "text-anchor": "end" }, picture, plain(tick));
    }
    const unit = video.times ? " s" : "";
    for (const tick of ticks(start, end > start ? end : start + 1)) {
      svg("text", { x: px(tick), y: HEIGHT - 5, "text-anchor": "middle" }, picture, plain(tick) + unit);
    }
    if (metric.chance !== null && low < metric.chance && metric.chance < high) {
      const at = py(metric.chance);
      svg("line", { class: "chance", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }, picture);
    }
    for (let model = curves.length - 1; model >= 0; model--) {
      let path = "", drawn = false;
      curves[model].forEach((value, i) => {
        if (value !== null) {
          const alone = !drawn && (curves[model][i + 1] ?? null) === null; // a round cap makes it a dot
          path += `${drawn ? "L" : "M"}${px(x[i]).toFixed(1)} ${py(value / 1000).toFixed(1)}${alone ? "h.01" : ""}`;
        }
        drawn = value !== null;
      });
      if (path) svg("path", { class: styleOf(model), d: path }, picture);
    }
    const line = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" }, picture);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      let nearest = 0;
      x.forEach((value, i) => {
        if (Math.abs(px(value) - at) < Math.abs(px(x[nearest]) - at)) nearest = i;
      });
      point(nearest);
    });
    picture.addEventListener("pointerleave", () => point(null));
    return { output, curves, line, px, x };
  };

  const point = (index) => {
    cursor = index;
    charts.forEach(({ output, curves, line, px, x }, metric) => {
      const values = curves.map((curve, model) => [model, index === null ? video.means[model][metric] : curve[index]]);
      output.textContent =
        (index === null ? "mean: " : "") + values.map(([model, value]) => `${content.models[model]} ${shown(value)}`).join(" · ");
      if (line) line.setAttribute("visibility", index === null ? "hidden" : "visible");
      if (line && index !== null) for (const end of ["x1", "x2"]) line.setAttribute(end, px(x[index]));
    });
    const time = index !== null && video.times ? `${video.times[index].toFixed(2)} s, ` : "";
    byId("at").textContent = index === null ? "" : `${time}frame ${video.frames[index]}`;
  };

  const draw = () => {
    const figures = content.metrics.map(() => document.createElement("figure"));
    for (const figure of figures) figure.className = "chart";
    byId("charts").replaceChildren(...figures);
    const style = getComputedStyle(figures[0]);
    const width = figures[0].clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    charts = content.metrics.map((metric, index) => drawChart(metric, index, figures[index], Math.max(160, width)));
    point(null);
  };

  const showVideo = (id) => {
    const found = content.videos.findIndex((one) => one.id === id);
    const index = found >= 0 ? found : content.videos.findIndex((one) => one.name === id);
    if (index < 0) return false;
    video = content.videos[index];
    byId("video").selectedIndex = index;
    draw();
    return true;
  };

  if (content) {
    content.models.forEach((model, i) => {
      const item = document.createElement("li");
      const swatch = svg("svg", { width: 28, height: 8, "aria-hidden": "true" }, item);
      svg("path", { class: styleOf(i), d: "M1 4H27" }, swatch);
      item.append(model);
      byId("legend").append(item);
    });
    byId("video").addEventListener("change", (event) => {
      const chosen = content.videos[event.target.selectedIndex].id;
      showVideo(chosen);
      remember({ video: chosen });
    });
    byId("charts").addEventListener("keydown", (event) => {
      const last = video.frames.length - 1;
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
      if (event.key === "Escape") point(null);
      if (!(event.key in steps)) return;
      event.preventDefault();
      point(Math.min(last, Math.max(0, (cursor ?? (event.key === "ArrowLeft" ? last + 1 : -1)) + steps[event.key])));
    });
    body.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link) return;
      event.preventDefault();
      const chosen = new URLSearchParams(link.hash.slice(1)).get("video");
      if (!showVideo(chosen)) return;
      remember({ video: chosen });
      byId("time").scrollIntoView();
    });
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) draw();
      width = innerWidth;
    });
  }

  const apply = () => {
    const fragment = wanted();
    showModel(fragment.get("model") ?? models.value);
    if (fragment.get("sort")) sort(fragment.get("sort"), fragment.get("order"));
    if (content && fragment.get("video") && showVideo(fragment.get("video"))) byId("time").scrollIntoView();
    else if (content && !video) showVideo(content.videos[0].id);
  };
  addEventListener("hashchange", apply);
  apply();
})();

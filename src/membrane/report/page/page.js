"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows;
  const table = document.getElementById("table");
  const lines = [...table.tBodies[0].rows];
  const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 2], [12, 5]];
  const MEMORY = "membrane-report";
  let chosen = [];
  let charts = [];

  const $ = (selector, inside = document) => inside.querySelector(selector);
  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const drawing = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const percent = (share) => (100 * share).toFixed(1);

  // folders

  lines.forEach((line) => {
    const places = $(".links", line);
    for (const [seed, folder, link] of rows[line.dataset.row].runs) {
      const named = element(link ? "a" : "span", seed === "None" ? "run" : seed, { title: folder });
      if (link) named.setAttribute("href", link);
      named.setAttribute("aria-label", `folder of seed ${seed}`);
      places.append(named);
    }
  });

  // sorting and filtering

  const headers = [...table.tHead.rows[0].cells];
  const valueOf = (line, column) => {
    const cell = line.cells[column];
    if (cell.dataset.value === undefined) return null;
    const number = Number(cell.dataset.value);
    return cell.dataset.value === "" || Number.isNaN(number) ? cell.dataset.value : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  const titleOf = (column) => headers[column].textContent;
  const sortBy = (column, direction) => {
    headers.forEach((header, place) => {
      if (header.hasAttribute("aria-sort")) header.setAttribute("aria-sort", place === column ? direction : "none");
    });
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = lines.map((line, place) => ({ line, place, value: valueOf(line, column) }));
    keyed.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.place - b.place;
      return sign * compare(a.value, b.value) || a.place - b.place;
    });
    table.tBodies[0].append(...keyed.map((each) => each.line));
    remember({ sorted: [titleOf(column), direction] });
  };
  headers.forEach((header, column) => {
    const button = $("button", header);
    if (!button) return;
    button.addEventListener("click", () => {
      const first = header.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortBy(column, header.getAttribute("aria-sort") === first ? other : first);
    });
  });

  const filter = document.getElementById("filter");
  const matches = document.getElementById("matches");
  const applyFilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const line of lines) {
      const text = line.textContent.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
      shown += !line.hidden;
    }
    matches.textContent = words.length ? `${shown} of ${lines.length} rows` : "";
    remember({ filter: filter.value });
  };
  filter.addEventListener("input", applyFilter);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { filter.value = ""; applyFilter(); }
  });

  // which rows are drawn: each keeps its slot, which is its colour and its dashes

  const slotOf = (row) => chosen.indexOf(row);
  const style = (slot) => ({ stroke: `var(--c${slot % 6})`, dash: DASHES[slot % DASHES.length] });
  const paint = (line, slot) => {
    if (slot < 0) { line.style.stroke = "none"; return; }
    line.style.stroke = style(slot).stroke;
    line.style.strokeDasharray = style(slot).dash.join(" ");
  };
  const choose = (row, wanted) => {
    if (wanted) {
      const free = chosen.indexOf(null);
      if (free >= 0) chosen[free] = row; else chosen.push(row);
    } else {
      chosen[slotOf(row)] = null;
    }
    redraw();
  };
  lines.forEach((line) => {
    const row = Number(line.dataset.row);
    $("input", line).addEventListener("change", (event) => choose(row, event.target.checked));
  });
  const drawnRows = () => chosen.map((row, slot) => ({ row, slot })).filter((each) => each.row !== null);

  // curves

  const part = document.getElementById("part");
  const parts = ["val", "oracle", "train"].filter((name) =>
    rows.some((row) => Object.keys(row.curves).some((curve) => curve.startsWith(`${name}/`))));
  const TITLES = { val: "validation", oracle: "test set (oracle)", train: "training" };
  parts.forEach((name) => part.append(element("option", TITLES[name], { value: name })));
  part.addEventListener("change", () => redraw());

  const joined = (curves) => {
    const epochs = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);
    const spread = (curve, name) => {
      const known = new Map(curve.x.map((x, place) => [x, curve[name][place]]));
      return epochs.map((epoch) => (known.has(epoch) ? known.get(epoch) : null));
    };
    return { epochs, spread };
  };
  const seriesOf = (stroke, dash, width) => ({
    stroke, dash, width, spanGaps: true, points: { show: (u) => u.data[0].length < 30, size: 4 },
  });
  const draw = (holder, wanted) => {
    const boxes = wanted.map(() => element("div"));
    holder.append(...boxes);  // all of them before any is measured: they share the width
    wanted.forEach((each, place) => chart(boxes[place], ...each));
  };
  const chart = (box, title, entries, factor, across = "epoch") => {
    const { epochs, spread } = joined(entries.map((each) => each.curve));
    const scaled = (values) => values.map((value) => (value === null ? null : value * factor));
    const columns = [epochs];
    const series = [{}];
    const bands = [];
    for (const { curve, stroke, dash } of entries) {
      if (curve.low) {
        columns.push(scaled(spread(curve, "high")), scaled(spread(curve, "low")));
        series.push({ stroke: "transparent", points: { show: false }, spanGaps: true });
        series.push({ stroke: "transparent", points: { show: false }, spanGaps: true });
        bands.push({ series: [series.length - 2, series.length - 1], fill: `color-mix(in srgb, ${stroke} 20%, transparent)` });
      }
      columns.push(scaled(spread(curve, "mean")));
      series.push(seriesOf(stroke, dash, 2));
    }
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule") } };
    const plot = new uPlot({
      title, series, bands, width: Math.max(box.clientWidth, 200), height: 240,
      scales: { x: { time: false } }, legend: { show: false },
      cursor: { drag: { x: true, y: false } },
      axes: [{ ...axis, label: across, labelSize: 22, size: 34, incrs: [...(across.startsWith("passes") ? [0.1, 0.2, 0.5] : []), 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { ...axis, size: 54 }],
    }, columns, box);
    charts.push({ plot, box });
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", title);
  };
  const drawKey = () => {
    const key = $("#curves .key");
    key.replaceChildren();
    for (const { row, slot } of drawnRows()) {
      const item = element("li");
      const mark = drawing("svg", { width: 30, height: 10, "aria-hidden": "true" });
      const stroke = drawing("line", { x1: 1, y1: 5, x2: 29, y2: 5 });
      paint(stroke, slot);
      mark.append(stroke);
      item.append(mark, document.createTextNode(rows[row].name));
      key.append(item);
    }
  };
  const drawCurves = () => {
    const section = document.getElementById("curves");
    const holder = $(".charts", section);
    holder.replaceChildren();
    section.hidden = !parts.length;
    if (section.hidden) return;
    drawKey();
    const wanted = [];
    for (const score of ["acc", "mae", "loss"]) {
      const name = `${part.value}/${score}`;
      const entries = drawnRows().filter(({ row }) => rows[row].curves[name]).map(({ row, slot }) => ({
        curve: rows[row].curves[name], stroke: colour(`--c${slot % 6}`), dash: DASHES[slot % DASHES.length],
      }));
      if (entries.length) wanted.push([score === "acc" ? `${name}, %` : name, entries, score === "acc" ? 100 : 1]);
    }
    draw(holder, wanted);
    if (!wanted.length) holder.append(element("p", "None of the rows that are chosen has these curves.", { class: "legend" }));
  };
  const drawAnytime = () => {
    const section = document.getElementById("anytime");
    const holder = $(".charts", section);
    holder.replaceChildren();
    const drawn = drawnRows().filter(({ row }) => Object.keys(rows[row].anytime).length);
    section.hidden = !drawn.length;
    const kinds = [["test/acc", "test/acc, %", 100, "timesteps"], ["test/mae", "test/mae", 1, "timesteps"],
      ["test/confidence", "mean confidence, %", 100, "timesteps"], ["early exit", "early exit: accuracy, %", 100, "passes per sample"]];
    const wanted = kinds.map(([name, title, factor, across]) => [title, drawn.filter(({ row }) => rows[row].anytime[name]).map(({ row, slot }) => ({
      curve: rows[row].anytime[name], stroke: colour(`--c${slot % 6}`), dash: DASHES[slot % DASHES.length],
    })), factor, across]);
    if (drawn.length) draw(holder, wanted.filter(([, entries]) => entries.length));
  };
  const drawHealth = () => {
    const section = document.getElementById("health");
    const holder = $(".charts", section);
    holder.replaceChildren();
    const told = drawnRows().find(({ row }) => Object.keys(rows[row].health).length);
    section.hidden = !told;
    if (!told) return;
    const groups = new Map();
    for (const [name, curve] of Object.entries(rows[told.row].health)) {
      const [group, ...layer] = name.split("/");
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([layer.join("/"), curve]);
    }
    draw(holder, [...groups].map(([group, curves]) => {
      const entries = curves.slice(0, 12).map(([, curve], place) => ({
        curve, stroke: colour(`--c${place % 6}`), dash: DASHES[Math.floor(place / 6) % DASHES.length],
      }));
      return [`${group}: ${curves.slice(0, 12).map(([layer]) => layer).join(", ")}`, entries, 1];
    }));
  };

  // tables of shares

  const shade = (cell, share) => {
    cell.style.setProperty("--share", String(Math.min(Math.max(share, 0), 1)));
    cell.classList.toggle("deep", share > 0.68);
  };
  document.querySelectorAll("td[data-share]").forEach((cell) => shade(cell, Number(cell.dataset.share)));
  const headed = (kind, titles, numbers = true) => {
    const made = element("table", null, { class: kind });
    const head = element("tr");
    titles.forEach((title, place) => head.append(element("th", title, { scope: "col", class: place && numbers ? "number" : "" })));
    const top = element("thead");
    top.append(head);
    made.append(top, element("tbody"));
    return made;
  };
  const confusionTable = (row) => {
    const made = headed("heat square", ["", ...row.classes]);
    row.confusion.forEach((counts, place) => {
      const line = element("tr");
      line.append(element("th", row.classes[place], { scope: "row" }));
      const whole = Math.max(counts.reduce((sum, each) => sum + each, 0), 1);
      counts.forEach((count) => {
        const cell = element("td", count || "", { class: "number" });
        shade(cell, count / whole);
        line.append(cell);
      });
      made.tBodies[0].append(line);
    });
    return made;
  };
  const confusedList = (row) => {
    const list = element("ul");
    row.confused.forEach(([label, instead, count]) =>
      list.append(element("li", `${row.classes[label]} as ${row.classes[instead]}: ${count}`)));
    return list;
  };
  const boxed = (title, content) => {
    const box = element("div");
    box.append(element("h3", title), content);
    return box;
  };
  const drawTables = (name, told, content) => {
    const section = document.getElementById(name);
    const holder = $(".tables", section);
    const drawn = drawnRows().filter(({ row }) => told(rows[row]));
    section.hidden = !drawn.length;
    holder.replaceChildren(...(drawn.length ? content(drawn.map(({ row }) => rows[row])) : []));
  };
  const drawConfusions = () => drawTables("confusions", (row) => row.confused, (drawn) =>
    drawn.slice(0, 4).map((row) => boxed(row.name, row.confusion ? confusionTable(row) : confusedList(row))));
  const sharesTable = (names, drawn, shareOf) => {
    const made = headed("heat", ["", ...drawn.map((row) => row.name)]);
    for (const name of names) {
      const line = element("tr");
      line.append(element("th", name, { scope: "row" }));
      for (const row of drawn) {
        const share = shareOf(row, name);
        const cell = element("td", share === undefined ? "–" : percent(share), { class: "number" });
        if (share !== undefined) shade(cell, share);
        line.append(cell);
      }
      made.tBodies[0].append(line);
    }
    return made;
  };
  const drawClasses = () => drawTables("classes", (row) => row.classes, (drawn) => {
    const recall = drawn.map((row) => new Map(row.classes.map((name, place) => [name, row.recall[place]])));
    const names = [...new Set(drawn.flatMap((row) => row.classes))];
    const mean = (name) => recall.reduce((sum, each) => sum + (each.get(name) ?? 1), 0);
    const listed = names.length > 20 ? names.sort((a, b) => mean(a) - mean(b)).slice(0, 20) : names;
    return [sharesTable(listed, drawn, (row, name) => recall[drawn.indexOf(row)].get(name))];
  });
  const drawClusters = () => drawTables("clusters", (row) => row.clusters, (drawn) => drawn.slice(0, 4).map((row) => {
    const shares = new Map(row.clusters.map(([name, samples, share]) => [`${name} (${samples} samples)`, share]));
    return boxed(`${row.name}: ${row.clusters.length} of ${row.cluster_count}`, sharesTable([...shares.keys()], [{ name: "right, %" }], (_, name) => shares.get(name)));
  }));

  const all = document.getElementById("all-settings");
  all.addEventListener("change", () => drawSettings());
  const drawSettings = () => drawTables("settings", () => true, (drawn) => {
    const names = [...new Set(drawn.flatMap((row) => Object.keys(row.settings)))];
    const values = (name) => drawn.map((row) => row.settings[name] ?? "–");
    const differs = (name) => new Set(values(name)).size > 1;
    const listed = all.checked ? names : names.filter(differs);
    if (!listed.length) return [element("p", "The rows that are chosen have no setting that differs.", { class: "legend" })];
    const made = headed("pairs", ["setting", ...drawn.map((row) => row.name)], false);
    for (const name of listed) {
      const line = element("tr", null, { class: all.checked && differs(name) ? "differs" : "" });
      line.append(element("th", name, { scope: "row" }), ...values(name).map((value) => element("td", value)));
      made.tBodies[0].append(line);
    }
    return [made];
  });

  // everything

  function redraw() {
    charts.forEach(({ plot }) => plot.destroy());
    charts = [];
    lines.forEach((line) => {
      const row = Number(line.dataset.row);
      $("input", line).checked = slotOf(row) >= 0;
      paint($(".swatch line", line), slotOf(row));
    });
    drawCurves();
    drawAnytime();
    drawHealth();
    drawConfusions();
    drawClasses();
    drawClusters();
    drawSettings();
    remember({ chosen: chosen.map((row) => (row === null ? null : rows[row].name)) });
  }
  function remember(state) {
    if (!data.watched) return;
    try {
      const before = JSON.parse(sessionStorage.getItem(MEMORY) || "{}");
      sessionStorage.setItem(MEMORY, JSON.stringify({ ...before, ...state }));
    } catch { /* a browser that keeps nothing */ }
  }
  function recall() {
    if (!data.watched) return {};
    try { return JSON.parse(sessionStorage.getItem(MEMORY) || "{}"); } catch { return {}; }
  }

  const before = recall();
  const numberOf = (name) => rows.findIndex((row) => row.name === name);
  chosen = before.chosen?.map((name) => (numberOf(name) < 0 ? null : numberOf(name))) ?? data.first;
  if (before.filter) { filter.value = before.filter; applyFilter(); }
  if (before.sorted) {
    const column = headers.findIndex((header) => header.textContent === before.sorted[0]);
    if (column >= 0) sortBy(column, before.sorted[1]);
  }
  redraw();
  if (before.scroll) scrollTo(0, before.scroll);

  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => charts.forEach(({ plot, box }) => plot.setSize({ width: Math.max(box.clientWidth, 200), height: 240 })), 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  addEventListener("beforeprint", () => redraw());

  if (data.watched) {
    const live = document.getElementById("live");
    live.textContent = "– watching";
    setInterval(async () => {
      try {
        const state = await (await fetch("state", { cache: "no-store" })).text();
        live.textContent = "– watching";
        if (state !== data.watched) { remember({ scroll: scrollY }); location.reload(); }
      } catch {
        live.textContent = "– the command has ended; these are its last numbers";
      }
    }, 2000);
  }
  document.documentElement.dataset.ready = "true";
})();

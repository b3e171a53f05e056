// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page of iovab report --html: builds itself from the JSON beside it.
 *
 * Names in the data may be anything: they reach the page as text nodes and as
 * text on a canvas, never as markup. Charts are drawn when they come into view,
 * so that a page of 500 devices opens at once; for the printer all are, unless
 * there are too many.
 */
"use strict";

const study = JSON.parse(document.getElementById("data").textContent);
const start = Date.parse(study.start);
const printAll = 60;	/* devices whose charts are all drawn for the printer */

/* --- units --- */

function scaled(v, base, names)
{
	let i = 0;

	while (Math.abs(v) >= base && i < names.length - 1) {
		v /= base;
		i++;
	}
	const digits = v === 0 || Number.isInteger(v) && i === 0 ? 0 : v < 10 ? 2 : v < 100 ? 1 : 0;
	return v.toFixed(digits) + names[i];
}

const bytes = v => scaled(v, 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"]);
const rate = v => bytes(v) + "/s";
const count = v => v < 100000 ? String(v) : scaled(v, 1000, ["", "k", "M", "G", "T"]);
const duration = ns => ns < 1e9 ? scaled(ns, 1000, [" ns", " µs", " ms"]) :
	ns < 120e9 ? (ns / 1e9).toFixed(2) + " s" : (ns / 60e9).toFixed(1) + " min";
const percent = v => v === 0 ? "0 %" : v < 0.0001 ? "<0.01 %" : (100 * v).toPrecision(3) + " %";
const clock = s => new Date(start + 1000 * s).toISOString().slice(11, 19) + " UTC";
const seconds = s => (s < 600 ? s.toFixed(1) + " s" : (s / 60).toFixed(1) + " min");
const hex = v => "0x" + v.toString(16);

/* A figure of the record, or what stands for its absence. */
function shown(scope, name, format)
{
	if (scope && scope[name] !== undefined && scope[name] !== null)
		return format(scope[name]);
	return scope && (scope[name] === null || (scope.unknown || []).includes(name)) ? "?" : "-";
}

/* --- the document --- */

function add(parent, tag, text, className)
{
	const e = document.createElement(tag);

	if (text !== undefined)
		e.textContent = text;
	if (className)
		e.className = className;
	parent.appendChild(e);
	return e;
}

function nameOf(device)
{
	return device.device || (device.hwpt ? "hwpt " + device.hwpt : "device unknown") +
		(device.devices && device.devices.length ? ` (${device.devices.join(", ")})` : "");
}

function addTable(parent, titles, rows)
{
	const table = add(add(parent, "div", undefined, "scroll"), "table");
	const head = add(add(table, "thead"), "tr");
	const body = add(table, "tbody");

	for (const [title, isText] of titles)
		add(head, "th", title, isText ? "text" : "");
	for (const cells of rows) {
		const tr = add(body, "tr");

		cells.forEach((cell, i) => {
			const td = add(tr, "td", cell.href ? undefined : cell.text ?? cell,
				       (titles[i][1] ? "text " : "") + (cell.bad ? "bad" : ""));
			if (cell.href) {
				const a = add(td, "a", cell.text);

				a.href = cell.href;
			}
		});
	}
	return table;
}

const bad = (text, is) => ({ text, bad: is });

/* --- colours --- */

const printing = { now: false };
const isDark = () => !printing.now && matchMedia("(prefers-color-scheme: dark)").matches;

function colours()
{
	return isDark() ?
		{ ink: "#c5cdd5", grid: "#2c343b", one: "#6cb0ff", two: "#ffb066", three: "#7ddba3", red: "#ff8a80",
		  calm: "#46525d", ramp: [[38, 52, 70], [108, 176, 255], [255, 236, 153]] } :
		{ ink: "#3d4650", grid: "#e4e8ec", one: "#1f6fc4", two: "#c4620a", three: "#1e8a55", red: "#b3261e",
		  calm: "#b9c2cb", ramp: [[226, 236, 247], [31, 111, 196], [74, 20, 90]] };
}

/* The colour of @t, 0 to 1, on the ramp of density. */
function rampColour(ramp, t)
{
	const at = Math.min(Math.max(t, 0), 1) * (ramp.length - 1);
	const i = Math.min(Math.floor(at), ramp.length - 2);
	const mix = ramp[i].map((c, k) => Math.round(c + (ramp[i + 1][k] - c) * (at - i)));

	return `rgb(${mix.join(",")})`;
}

/* --- charts --- */

const timeAxis = c => ({
	type: "linear", min: 0, max: study.bins * study.bin_s,
	ticks: { color: c.ink, maxTicksLimit: 9, callback: v => seconds(v) }, grid: { color: c.grid },
});

function valueAxis(c, format, more = {})
{
	return { beginAtZero: true, ticks: { color: c.ink, maxTicksLimit: 6, callback: v => format(v) },
		 grid: { color: c.grid }, ...more };
}

/* An axis for bytes: its steps are powers of two. */
function byteAxis(c, format, values)
{
	const most = Math.max(1, ...values.map(v => v || 0)), step = 2 ** Math.ceil(Math.log2(most / 6));

	return { min: 0, max: Math.ceil(most / step) * step, grid: { color: c.grid },
		 ticks: { color: c.ink, stepSize: step, callback: v => format(v) } };
}

function baseOptions(c, scales, label, title)
{
	return {
		animation: false, responsive: true, maintainAspectRatio: false,
		interaction: { mode: "nearest", axis: "x", intersect: false }, scales,
		plugins: {
			legend: { labels: { color: c.ink, boxWidth: 12, boxHeight: 2 } },
			tooltip: { callbacks: { label, title } },
		},
	};
}

/* x is the end of a bin: what is shown happened up to it. */
const binTime = bin => (bin + 1) * study.bin_s;
const timeTitle = items => items.length ? `${seconds(items[0].parsed.x)} (${clock(items[0].parsed.x)})` : "";

const line = (label, data, colour, more = {}) =>
	({ label, data, borderColor: colour, backgroundColor: colour, borderWidth: 1.6, pointRadius: 0,
	   pointHitRadius: 8, spanGaps: false, ...more });

function allRounds(device)
{
	return device.migrations.flatMap(m => m.rounds);
}

function dirtyChart(device, c)
{
	const course = device.course;
	const points = course.bin.map((bin, i) => ({
		x: binTime(bin), y: course.dirty_bytes[i] === null ? null : course.dirty_bytes[i] / course.seconds[i],
	}));
	const rounds = allRounds(device).filter(r => r.dirty_bytes_per_s !== undefined && r.dirty_bytes_per_s !== null)
		.map(r => ({ x: r.start_s, y: r.dirty_bytes_per_s, phase: r.phase }));
	const stop = r => r.raw && r.raw.phase === "stop-copy";
	const needed = device.migrations.map(m => m.convergence.needed_bytes_per_s).filter(v => v)
		.map(v => line(`needed to converge: ${rate(v)}`,
			       [{ x: 0, y: v }, { x: study.bins * study.bin_s, y: v }], c.red,
			       { borderDash: [6, 4], borderWidth: 1.2, pointHitRadius: 0 }));

	return {
		type: "line",
		data: { datasets: [
			line("between two rounds", rounds, c.one, { pointRadius: 3,
				pointBackgroundColor: r => stop(r) ? c.red : c.one }),
			...needed,
			line("in an interval", points, c.calm, { borderWidth: 1, fill: true,
				backgroundColor: c.calm + "55" }),
		] },
		options: baseOptions(c, { x: timeAxis(c), y: byteAxis(c, rate,
			[...rounds, ...points].map(p => p.y)) },
				     item => `${item.dataset.label}: ${rate(item.parsed.y)}` +
					     (item.raw.phase ? ` (${item.raw.phase})` : ""), timeTitle),
	};
}

function latencyChart(device, c)
{
	const course = device.course;
	const mean = course.bin.map((bin, i) => ({
		x: binTime(bin), y: course.reports[i] ? course.report_ns_sum[i] / course.reports[i] : null }));
	const max = course.bin.map((bin, i) => ({
		x: binTime(bin), y: course.reports[i] ? course.report_ns_max[i] : null }));

	return {
		type: "line",
		data: { datasets: [line("mean", mean, c.one, { pointRadius: 1.5, spanGaps: true }),
				   line("longest, by its bucket", max, c.two, { pointRadius: 1.5, spanGaps: true })] },
		options: baseOptions(c, { x: timeAxis(c), y: valueAxis(c, duration) },
				     item => `${item.dataset.label}: ${duration(item.parsed.y)}`, timeTitle),
	};
}

function churnChart(device, c)
{
	const course = device.course, known = course.windows_clean !== undefined;
	const bar = (label, values, colour) => ({ label, data: values, backgroundColor: colour, stack: "windows",
						  barPercentage: 1, categoryPercentage: 0.9 });
	const datasets = known ?
		[bar("windows with something dirty", course.windows.map((w, i) =>
			course.windows_clean[i] === null ? null : w - course.windows_clean[i]), c.one),
		 bar("clean: pinned for nothing", course.windows_clean, c.calm)] :
		[bar("windows", course.windows, c.one)];

	datasets.push({ ...line("repins", course.repins, c.red), type: "line", pointRadius: 1 });
	return {
		type: "bar",
		data: { labels: course.bin.map(bin => seconds(binTime(bin))), datasets },
		options: baseOptions(c, {
			x: { stacked: true, ticks: { color: c.ink, maxTicksLimit: 9 }, grid: { color: c.grid } },
			y: valueAxis(c, count, { stacked: true }),
		}, item => `${item.dataset.label}: ${item.parsed.y}`),
	};
}

/* The lower edge of a latency bucket in ns, as in include/iovab.h. */
function bucketEdge(i)
{
	return i ? (4 + (i - 1) % 4) * 2 ** (Math.floor((i - 1) / 4) + 6) : 0;
}

function histogramChart(device, c)
{
	const all = [device.report_histogram, device.pin_histogram];
	const used = all.flatMap(h => h.map((n, i) => n ? i : -1)).filter(i => i >= 0);
	const first = used.length ? Math.min(...used) : 0, last = used.length ? Math.max(...used) : 0;
	const labels = [];

	for (let i = first; i <= last; i++)
		labels.push(duration(bucketEdge(i)));
	const bars = (label, h, colour) => ({ label, data: labels.map((_, i) => h[first + i] || 0),
					      backgroundColor: colour, barPercentage: 1, categoryPercentage: 0.9 });
	return {
		type: "bar",
		data: { labels, datasets: [bars("reports", all[0], c.one), bars("pins", all[1], c.two)] },
		options: baseOptions(c, {
			x: { ticks: { color: c.ink, maxTicksLimit: 9 }, grid: { display: false } },
			y: valueAxis(c, count),
		}, item => `${item.dataset.label}: ${item.parsed.y}`,
		items => items.length ? `from ${items[0].label} to ${duration(bucketEdge(first + items[0].dataIndex + 1))}` : ""),
	};
}

/* Density over IOVA and time. Colour is by its logarithm: a few pages must be seen, too. */
function heatChart(device, c)
{
	const heat = device.heat, base = BigInt(heat.iova), size = BigInt(heat.cell_bytes);
	const cells = [];
	let rows = 1, least = 1, most = 0;

	for (const [bin, dirty, seen] of heat.bins)
		dirty.forEach((v, y) => {
			if (v < 0)
				return;
			const all = Array.isArray(seen) ? seen[y] : seen, density = v / all;

			cells.push({ x: bin, y, v, density });
			rows = Math.max(rows, y + 1);
			if (density > 0) {
				least = Math.min(least, density);
				most = Math.max(most, density);
			}
		});
	const low = Math.log(least) - 0.7, span = Math.log(most || 1) - low || 1;
	const colour = d => d > 0 ? rampColour(c.ramp, (Math.log(d) - low) / span) : rampColour(c.ramp, 0);
	const iova = y => base + BigInt(y) * size;
	const inside = y => device.hot.findIndex(h => iova(y) >= BigInt(h.iova) && iova(y) < BigInt(h.iova) + BigInt(h.length));

	return {
		config: {
			type: "matrix",
			data: { datasets: [{
				data: cells, borderWidth: 0,
				backgroundColor: ctx => colour(ctx.raw.density),
				width: ctx => (ctx.chart.chartArea || { width: 0 }).width / heat.columns + 0.6,
				height: ctx => (ctx.chart.chartArea || { height: 0 }).height / rows + 0.6,
			}] },
			options: {
				animation: false, responsive: true, maintainAspectRatio: false,
				scales: {
					x: { type: "linear", min: -0.5, max: heat.columns - 0.5, offset: false, grid: { display: false },
					     ticks: { color: c.ink, maxTicksLimit: 9, callback: v => seconds((v + 0.5) * heat.bin_s) } },
					y: { type: "linear", min: -0.5, max: rows - 0.5, offset: false, reverse: false, grid: { display: false },
					     ticks: { color: c.ink, maxTicksLimit: 9,
						      callback: v => Number.isInteger(v) ? hex(iova(v)) : "" } },
				},
				plugins: {
					legend: { display: false },
					tooltip: { callbacks: {
						title: items => items.length ? `${hex(iova(items[0].raw.y))} to ${hex(iova(items[0].raw.y + 1) - 1n)}` : "",
						label: item => [
							`around ${clock((item.raw.x + 0.5) * heat.bin_s)}`,
							`dirty ${bytes(item.raw.v)}, density ${percent(item.raw.density)}`,
							...(inside(item.raw.y) >= 0 ? [`in hot range ${inside(item.raw.y) + 1}`] : [])],
					} },
				},
			},
		},
		least, most,
	};
}

/* --- drawing when seen --- */

const pending = new Map();	/* container -> draw */
const drawn = new Map();	/* container -> chart */

function draw(container)
{
	const make = pending.get(container);
	const old = drawn.get(container);

	if (old)
		old.destroy();
	container.replaceChildren();
	drawn.set(container, new Chart(add(container, "canvas"), make(colours())));
}

const observer = new IntersectionObserver(entries => {
	for (const entry of entries)
		if (entry.isIntersecting && !drawn.has(entry.target))
			draw(entry.target);
}, { rootMargin: "300px" });

function addChart(parent, title, note, make, wide)
{
	const figure = add(parent, "figure", undefined, wide ? "wide" : "");
	const caption = add(figure, "figcaption", title + " ");
	const container = add(figure, "div", undefined, "canvas");

	add(caption, "small", note);
	container.setAttribute("role", "img");
	container.setAttribute("aria-label", title);
	pending.set(container, make);
	observer.observe(container);
	return caption;
}

function redraw()
{
	for (const container of drawn.keys())
		draw(container);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => {
	printing.now = true;
	for (const container of pending.keys())
		if (drawn.has(container) || study.devices.length <= printAll)
			draw(container);
});
addEventListener("afterprint", () => {
	printing.now = false;
	redraw();
});

/* --- sections --- */

function writeHead(app)
{
	document.title = `iovab: ${study.host || "recording"} ${study.start.slice(0, 19)}`;
	add(app, "h1", "DMA dirty tracking: what a recording says");
	add(app, "p", `Recorded ${study.start.slice(0, 19).replace("T", " ")} UTC, for ` +
	    `${seconds((Date.parse(study.end) - start) / 1000)}, tier ${study.tier}, ${study.moments} moments.`);
	add(app, "p", [study.host && `Host ${study.host}`, study.kernel && `kernel ${study.kernel}`,
		       study.machine, study.program].filter(v => v).join(", "), "soft");
	if (study.command)
		add(app, "p", `Command: ${study.command}`, "soft");
	if (!study.ended)
		add(app, "p", "It goes on, or was not ended but killed: the last figures are those of its last moment.");
	if (study.events_pruned)
		add(app, "p", `${study.events_pruned} windows and reports were dropped to keep the file small: rounds and charts begin later than the totals.`);
	if (study.marks_pruned)
		add(app, "p", `${count(study.marks_pruned)} marks were dropped to keep the file small: hot ranges do without them.`);
}

function writeWrong(app)
{
	const lines = [];

	for (const d of study.devices)
		if (d.total.lost_bytes || d.total.stray_bits)
			lines.push(`${nameOf(d)} marked ${bytes(d.total.lost_bytes)} of which no bit reached the bitmap, and ${count(d.total.stray_bits)} bits were written outside of it: the destination's memory may be wrong.`);
	for (const d of study.devices)
		if (d.total.wild_marks)
			lines.push(`${nameOf(d)}: for ${count(d.total.wild_marks)} marks the kernel set bits that are not theirs.`);
	if (study.events_lost)
		lines.push(`${count(study.events_lost)} events were lost: totals are too small.`);
	for (const [name, n] of Object.entries(study.devices.length ? study.devices[0].losses : {}))
		if (n)
			lines.push(`${name}: ${count(n)}`);
	if (study.moments_failed)
		lines.push(`${study.moments_failed} moments could not be written, with ${study.events_failed} windows and reports: totals are right, rounds and charts miss these.`);
	if (study.marks_failed)
		lines.push(`${count(study.marks_failed)} marks could not be written: hot ranges do without them.`);
	if (!lines.length)
		return;
	const box = add(app, "div", undefined, "wrong");

	for (const text of lines)
		add(box, "p", text, "bad");
}

const neededBy = d => Math.max(0, ...d.migrations.map(m => m.convergence.needed_bytes_per_s || 0));
const isStuck = m => m.convergence.verdict === "does-not-converge";
const verdictOf = d => d.migrations.map(m => (m.convergence.verdict || "unknown").replaceAll("-", " ") +
	(m.convergence.hinders ? " (its doing)" : "")).join(", ");

function downtimeOf(d)
{
	const stops = d.migrations.filter(m => m.downtime);

	return stops.length ? duration(stops.reduce((sum, m) => sum + m.downtime.report_ns, 0)) : "-";
}

function writeOverview(app)
{
	const hardest = study.devices.reduce((a, d) => !a || neededBy(d) > neededBy(a) ? d : a, null);

	if (hardest && neededBy(hardest))
		add(app, "p", `Hardest to converge: ${nameOf(hardest)} of pid ${hardest.pid}; more than ${rate(neededBy(hardest))} must be sent for it alone.`);
	addTable(app, [["device", true], ["VM", true], ["reports"], ["p99"], ["windows"], ["clean"], ["repins"], ["dirty"],
		       ["migrations", true], ["bandwidth needed"], ["downtime in reports"], ["lost"]],
		 study.devices.map((d, i) => [
			{ text: nameOf(d), href: `#d${i}` }, d.vm || "", count(d.total.reports),
			d.total.report_ns ? duration(d.total.report_ns.p99) : "-", count(d.total.windows),
			d.total.windows_clean !== undefined && d.total.windows ? percent(d.total.windows_clean / d.total.windows) :
				shown(d.total, "windows_clean", count),
			count(d.total.repins), shown(d.total, "dirty_bytes", bytes), bad(verdictOf(d), d.migrations.some(isStuck)),
			neededBy(d) ? rate(neededBy(d)) : "-", downtimeOf(d),
			bad(shown(d.total, "lost_bytes", bytes), d.total.lost_bytes > 0)]));
}

function writeRounds(section, d)
{
	const total = allRounds(d).length;
	const details = add(section, "details");

	add(details, "summary", `${total} rounds in ${d.migrations.length} migration${d.migrations.length === 1 ? "" : "s"}`);
	const fill = () => {
		if (details.childElementCount > 1)
			return;
		addTable(details, [["migration"], ["round"], ["phase", true], ["begins"], ["reports"], ["time"], ["dirty"],
				   ["dirty/s"], ["windows"], ["clean"], ["repins"], ["pages pinned"], ["lost"]],
			 d.migrations.flatMap((m, i) => m.rounds.map((r, j) => [
				String(i + 1), String(j + 1), r.phase || "?", seconds(r.start_s), count(r.reports), duration(r.report_ns),
				shown(r, "dirty_bytes", bytes), shown(r, "dirty_bytes_per_s", rate), count(r.windows),
				shown(r, "windows_clean", count), count(r.repins), count(r.pages_pinned),
				bad(shown(r, "lost_bytes", bytes), r.lost_bytes > 0)])));
	};

	details.addEventListener("toggle", fill);
	if (total && total <= 16) {
		details.open = true;
		fill();
	}
}

function writeHot(section, d)
{
	if (!d.hot.length)
		return;
	add(section, "h3", "Hot ranges");
	addTable(section, [["#"], ["from", true], ["to", true], ["size"], [d.hot[0].marked_bytes === undefined ? "dirtied" : "marked"], ["share"]],
		 d.hot.map((h, i) => [String(i + 1), hex(BigInt(h.iova)), hex(BigInt(h.iova) + BigInt(h.length) - 1n),
				      bytes(h.length), bytes(h.marked_bytes ?? h.dirty_bytes), percent(h.share)]));
}

/* What other ways of pinning would have done with the same marks. */
function writeWhatIf(section, d)
{
	const what = d.total.what_if;

	if (!what || !what.reports)
		return;
	add(section, "h3", "What if");
	addTable(section, [["policy", true], ["windows"], ["pages pinned"], ["repins"]],
		 [["this kernel", count(d.total.windows), count(d.total.pages_pinned), count(d.total.repins)],
		  ...["eager", "lazy", "cached"].filter(name => what[name]).map(name => [
			name, shown(what[name], "windows", count), shown(what[name], "pages_pinned", count),
			shown(what[name], "repins", count)])]);
	if (what.reports < d.total.reports)
		add(section, "p", `The policies are of ${count(what.reports)} of the ${count(d.total.reports)} reports.`, "soft");
}

function writeHeat(charts, d)
{
	const { least, most } = heatChart(d, colours());
	const caption = addChart(charts, "Where in IOVA space", "dirty / what windows covered, by time",
				 c => heatChart(d, c).config, true);
	const scale = add(caption, "small", ` ${percent(least)} `);
	const ramp = add(scale, "span", undefined, "ramp");

	ramp.style.background = `linear-gradient(to right, ${[0, .25, .5, .75, 1].map(t => rampColour(colours().ramp, t)).join(",")})`;
	add(scale, "span", percent(most));
}

function writeDevice(app, d, i)
{
	const section = add(app, "section");
	const t = d.total;

	section.id = `d${i}`;
	add(section, "h2", nameOf(d));
	add(section, "p", [d.driver, d.vfio, d.comm, `pid ${d.pid}`, d.vm && `VM ${d.vm}`,
			   d.implementation === "reference" && "reference implementation",
			   d.stale && "its owner is gone"].filter(v => v).join(" · "), "soft");
	add(section, "p", `${count(t.reports)} reports over ${bytes(t.range_bytes)} of IOVA, ${count(t.report_errors)} with an error; ` +
	    (t.report_ns ? `p50 ${duration(t.report_ns.p50)}, p99 ${duration(t.report_ns.p99)}, max ${duration(t.report_ns.max)}; ` : "") +
	    `${count(t.windows)} windows, ${count(t.pages_pinned)} pages pinned, ${count(t.repins)} repins, ${count(t.pin_failures)} failed pins.`);
	if (t.lost_bytes || t.stray_bits)
		add(section, "p", `Lost ${bytes(t.lost_bytes)}; stray bits ${count(t.stray_bits)}.`, "bad");
	const charts = add(section, "div", undefined, "charts");

	if (d.course.dirty_bytes)
		addChart(charts, "Dirty rate", "what this device dirtied a second", c => dirtyChart(d, c));
	addChart(charts, "Report latency", "time inside a report", c => latencyChart(d, c));
	addChart(charts, "Window churn", "windows that the kernel pinned, by time", c => churnChart(d, c));
	addChart(charts, "Latencies", "how many took how long", c => histogramChart(d, c));
	if (d.heat && d.heat.bins.length)
		writeHeat(charts, d);
	writeWhatIf(section, d);
	writeHot(section, d);
	writeRounds(section, d);
}

const app = document.getElementById("app");

app.replaceChildren();
writeHead(app);
writeWrong(app);
if (study.devices.length)
	writeOverview(app);
else
	add(app, "p", "No report was seen.");
if (study.devices.length > printAll)
	add(app, "p", "Charts that were not looked at on the screen are left out here: there are too many devices.", "print-only");
study.devices.forEach((d, i) => writeDevice(app, d, i));

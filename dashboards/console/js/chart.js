/*
 * chart.js - one chart: uPlot, a legend that says the values at the cursor, marks behind.
 *
 * What is missing stays missing: a line never crosses a gap, and the time axis shows the whole
 * stretch that was asked for, with or without data.  Stacked charts are summed here, and still say
 * each part's own value.
 */
import uPlot from './uplot.js';
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as format from './format.js';
import * as state from './state.js';

const SYNC = 'fengsui';
const HEIGHT = 150;
/* Marks of an axis in bytes fall on whole KiB, MiB, GiB. */
const BINARY_STEPS = Array.from({length: 52}, (none, i) => 2 ** i);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim() || '#888';
}

function faint(hex, alpha) {
  return hex + Math.round(alpha * 255).toString(16).padStart(2, '0');
}

/* Sums upwards; null where no part has a value. */
export function stacked(rows) {
  const sums = [];
  rows.forEach((row, i) => {
    sums.push(row.map((value, k) => {
      if (rows.every((other) => other[k] === null)) return null;
      return (value === null ? 0 : value) + (i > 0 ? sums[i - 1][k] || 0 : 0);
    }));
  });
  return sums;
}

/* Points that no line would show: those with nothing beside them. */
function lonely(u, series) {
  const values = u.data[series];
  const found = [];
  for (let i = 0; i < values.length; i++) {
    const is_missing = (k) => values[k] === null || values[k] === undefined;
    if (!is_missing(i) && is_missing(i - 1) && is_missing(i + 1)) found.push(i);
  }
  return found;
}

function last_value(values) {
  for (let i = values.length - 1; i >= 0 && i >= values.length - 3; i--) {
    if (values[i] !== null) return values[i];
  }
  return null;
}

/* Stretches of time behind the curves: alerts as a strip above one common tint, silence of the
 * probe grey. */
function draw_marks(u, marks) {
  const {ctx, bbox} = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const strip = 3 * uPlot.pxRatio;
  const tints = new Path2D();
  for (const mark of marks) {
    const from = u.valToPos(mark.from, 'x', true);
    const to = Math.max(from + strip, u.valToPos(mark.to, 'x', true));
    const ink = colour(mark.colour);
    if (mark.kind === 'silent') {
      ctx.fillStyle = faint(ink, 0.2);
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    } else {
      ctx.fillStyle = ink;
      ctx.fillRect(from, bbox.top, to - from, strip);
      tints.rect(from, bbox.top, to - from, bbox.height);
    }
  }
  ctx.fillStyle = faint(colour('critical'), 0.06);
  ctx.fill(tints); /* one path: where alerts overlap it is no darker */
  ctx.restore();
}

function draw_pin(u, at) {
  if (at === null) return;
  const {ctx, bbox} = u;
  const x = Math.round(u.valToPos(at, 'x', true));
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.fillStyle = colour('accent');
  ctx.fillRect(x - uPlot.pxRatio, bbox.top, 2 * uPlot.pxRatio, bbox.height);
  ctx.restore();
}

/*
 * panel: {id, title, unit: value => text, stack: bool, floor, ceiling, threshold}
 * on: {cursor(seconds | null), pin(seconds), zoom(from, to)}
 */
export function make_chart(panel, on) {
  const legend = h('div', {class: 'legend'});
  const plot = h('div', {class: 'plot', 'data-island': true, 'aria-hidden': 'true'});
  const note = h('p', {class: 'chart-note'}, t('loading'));
  const root = h('figure', {class: 'chart', id: 'chart-' + panel.id},
    h('figcaption', null, h('h3', null, panel.title), legend), plot, note);
  let u = null;
  let shown = null; /* {series, grid, marks, at} */

  function axis(side, more) {
    return {stroke: colour('quiet'), font: '11px system-ui, sans-serif',
      grid: {stroke: colour('grid'), width: 1}, ticks: {show: false}, side, ...more};
  }

  function options() {
    const {series} = shown;
    const bands = panel.stack ? series.slice(1).map((one, i) => ({series: [i + 2, i + 1]})) : [];
    return {
      width: Math.max(200, plot.clientWidth), height: panel.height || HEIGHT, legend: {show: false},
      padding: [6, 22, 0, 0],
      cursor: {sync: {key: SYNC, setSeries: false}, points: {size: 6},
        drag: {x: true, y: false, setScale: false}},
      tzDate: (seconds) => (state.zone() ? uPlot.tzDate(new Date(seconds * 1000), state.zone())
                                         : new Date(seconds * 1000)),
      scales: {x: {time: true, range: () => [shown.grid.start, shown.grid.end]},
        y: {range: (self, low, high) => y_range(low, high)}},
      axes: [
        axis(2, {space: 64, size: 26, grid: {show: false},
          values: (self, splits, index, space, step) => splits.map((s) => format.axis_time(s, step))}),
        axis(3, {space: 30, size: 68, ...(panel.is_binary ? {incrs: BINARY_STEPS} : {}),
          values: (self, splits) => splits.map((v) => panel.unit(v))}),
      ],
      series: [{}, ...series.map((one) => ({label: one.name, stroke: colour(one.colour),
        width: panel.stack ? 1 : 1.5, spanGaps: false,
        points: {show: true, size: 4, fill: colour(one.colour), filter: lonely},
        fill: panel.stack ? faint(colour(one.colour), 0.55) : null,
        dash: one.dashed ? [4, 4] : undefined}))],
      bands,
      hooks: {
        drawClear: [(self) => draw_marks(self, shown.marks)],
        draw: [(self) => draw_pin(self, shown.at)],
        setCursor: [(self) => moved(self)],
        setSelect: [(self) => selected(self)],
      },
    };
  }

  function y_range(low, high) {
    let top = high === null || !Number.isFinite(high) ? 1 : high * 1.08;
    if (panel.ceiling !== undefined) top = Math.max(panel.ceiling, high || 0);
    if (panel.threshold !== undefined) top = Math.max(top, panel.threshold * 1.08);
    const floor = Math.min(panel.floor === undefined ? 0 : panel.floor, low || 0);
    return top > floor ? [floor, top] : [floor, floor + 1];
  }

  function moved(self) {
    const {left, idx} = self.cursor;
    const is_on = left >= 0 && idx !== null && idx !== undefined;
    write_legend(is_on ? idx : null);
    if (on.cursor && self.cursor.event) on.cursor(is_on ? self.posToVal(left, 'x') : null);
  }

  function selected(self) {
    const {left, width} = self.select;
    if (width < 8) return;
    const from = self.posToVal(left, 'x');
    const to = self.posToVal(left + width, 'x');
    self.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
    if (on.zoom) on.zoom(from, to);
  }

  function write_legend(index) {
    morph(legend, shown.series.map((one) => {
      const value = index === null ? last_value(one.values) : one.values[index];
      return h('span', {class: 'legend-item', 'data-key': one.name},
        h('i', {class: 'swatch', css: {background: `var(--${one.colour})`}}), one.name, ' ',
        h('b', null, panel.unit(value)));
    }));
  }

  function build() {
    if (u !== null) u.destroy();
    plot.replaceChildren();
    u = new uPlot(options(), data(), plot);
    u.over.addEventListener('click', () => {
      if (on.pin && u.cursor.left >= 0) on.pin(u.posToVal(u.cursor.left, 'x'));
    });
    plot.setAttribute('data-series', shown.series.length);
  }

  function data() {
    const {start, end, step} = shown.grid;
    const count = Math.floor((end - start) / step + 1e-9) + 1;
    const times = Array.from({length: count}, (none, i) => start + i * step);
    const rows = shown.series.map((one) => one.values);
    return [times, ...(panel.stack ? stacked(rows) : rows)];
  }

  const resize = new ResizeObserver(() => {
    if (u !== null && plot.clientWidth > 0 && plot.clientWidth !== u.width)
      u.setSize({width: plot.clientWidth, height: panel.height || HEIGHT});
  });
  resize.observe(plot);

  return {
    root,
    /* series: [{name, colour, values}] on the grid {start, end, step}. */
    show(series, grid, marks, at) {
      const names = (list) => list.map((one) => one.name + one.colour).join('\n');
      const is_other = shown === null || names(shown.series) !== names(series);
      shown = {series, grid, marks, at};
      const is_empty = series.length === 0 || series.every((one) => one.values.every((v) => v === null));
      note.textContent = is_empty ? t('chart.empty') : '';
      plot.setAttribute('data-points', series.reduce((sum, one) =>
        sum + one.values.filter((v) => v !== null).length, 0));
      if (u === null || is_other) build();
      else u.setData(data());
      const index = u.cursor.left >= 0 ? u.cursor.idx : null;
      write_legend(index === undefined ? null : index);
    },
    mark(marks, at) {
      if (shown === null) return;
      Object.assign(shown, {marks, at});
      if (u !== null) u.redraw(false, false);
    },
    fail(message) {
      note.textContent = t('chart.failed', message);
    },
    restyle() {
      if (u !== null) build();
    },
    destroy() {
      resize.disconnect();
      if (u !== null) u.destroy();
    },
  };
}

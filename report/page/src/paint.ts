// Draws the timeline on canvases: time axis, running operations over time, and the bars of visible rows.

import type { Run } from "./data";
import { ENDINGS, RUNNING, STATES, WAITS } from "./data";
import { duration } from "./format";
import type { Row } from "./rows";

export interface View {
    from: number;
    until: number;
}

export const ROW = 24;

export interface Palette {
    ending: string[];
    wait: string[];
    state: string[];
    text: string;
    faint: string;
    line: string;
    back: string;
    path: string;
}

/** The colours of the style sheet, as they are in the present theme. */
export function palette(): Palette {
    const style = getComputedStyle(document.documentElement);
    const of = (name: string) => style.getPropertyValue(name).trim();
    return {
        ending: ENDINGS.map((name) => of(`--e-${name}`)),
        wait: WAITS.map((name) => of(`--w-${name}`)),
        state: STATES.map((name) => of(`--s-${name}`)),
        text: of("--text-soft"),
        faint: of("--faint"),
        line: of("--line"),
        back: of("--card"),
        path: of("--path"),
    };
}

/** Makes the canvas as large as its box in pixels of the screen. */
export function prepare(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
    }
    const to = canvas.getContext("2d");
    to?.setTransform(ratio, 0, 0, ratio, 0, 0);
    to?.clearRect(0, 0, width, height);
    return to;
}

/** Distance of marks on the axis: 1, 2 or 5 of a unit that people count in. */
export function tick(span: number, width: number): number {
    const least = (span * 90) / Math.max(1, width);
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5];
    for (const step of steps) if (step >= least) return step;
    let step = 36e5;
    while (step < least) step *= 2;
    return step;
}

function axisLabel(at: number, step: number): string {
    if (step < 1000) return at < 1000 ? `${at} ms` : `${(at / 1000).toFixed(step < 10 ? 3 : step < 100 ? 2 : 1)} s`;
    if (at < 60_000) return `${Math.round(at / 1000)} s`;
    return duration(at);
}

/** The axis, and how many attempts ran at each time in the whole run, with the part that rows show. */
export function paintOverview(canvas: HTMLCanvasElement, run: Run, load: Float64Array, view: View, colors: Palette) {
    const to = prepare(canvas);
    if (!to) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const span = Math.max(1, run.head.until);
    const top = 4;
    const base = height - 1;
    // 0: nobody knows
    let most = Math.max(1, run.head.parallel);
    for (const value of load) most = Math.max(most, value);
    to.beginPath();
    to.moveTo(0, base);
    for (let x = 0; x < load.length; x++) {
        const y = base - (load[x] / most) * (base - top);
        to.lineTo((x * width) / load.length, y);
        to.lineTo(((x + 1) * width) / load.length, y);
    }
    to.lineTo(width, base);
    to.closePath();
    to.globalAlpha = 0.32;
    to.fillStyle = colors.ending[0];
    to.fill();
    to.globalAlpha = 1;
    to.lineWidth = 1;
    if (run.head.parallel) {
        const slots = base - (run.head.parallel / most) * (base - top);
        to.strokeStyle = colors.text;
        to.setLineDash([3, 3]);
        to.beginPath();
        to.moveTo(0, Math.round(slots) + 0.5);
        to.lineTo(width, Math.round(slots) + 0.5);
        to.stroke();
        to.setLineDash([]);
    }
    const [from, until] = [(view.from / span) * width, (view.until / span) * width];
    if (from > 0.5 || until < width - 0.5) {
        to.fillStyle = colors.back;
        to.globalAlpha = 0.72;
        to.fillRect(0, 0, from, height);
        to.fillRect(until, 0, width - until, height);
        to.globalAlpha = 1;
        to.strokeStyle = colors.path;
        to.strokeRect(Math.floor(from) + 0.5, 0.5, Math.max(2, Math.ceil(until - from) - 1), height - 1);
    }
}

export function paintAxis(canvas: HTMLCanvasElement, view: View, colors: Palette) {
    const to = prepare(canvas);
    if (!to) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const span = view.until - view.from;
    const step = tick(span, width);
    to.font = `11px ${getComputedStyle(canvas).fontFamily}`;
    to.fillStyle = colors.text;
    to.strokeStyle = colors.line;
    to.beginPath();
    for (let at = Math.ceil(view.from / step) * step; at <= view.until; at += step) {
        const x = ((at - view.from) / span) * width;
        to.moveTo(Math.round(x) + 0.5, height - 5);
        to.lineTo(Math.round(x) + 0.5, height);
        const text = axisLabel(at, step);
        const size = to.measureText(text).width;
        to.fillText(text, Math.max(0, Math.min(width - size, x - size / 2)), height - 8);
    }
    to.stroke();
}

/** Adds a value from a place on; of the part that the place is in, its share. */
function begin(change: Float64Array, place: number, value: number) {
    const part = Math.floor(place);
    const share = value * (part + 1 - place);
    change[part] += share;
    change[part + 1] += value - share;
}

/** Number of attempts that ran in each of `size` parts of a time. */
export function load(run: Run, members: number[] | null, view: View, size: number): Float64Array {
    const change = new Float64Array(size + 2);
    const scale = size / Math.max(1, view.until - view.from);
    const add = (op: number) => {
        const end = run.firstTry[op] + run.tries[op];
        for (let at = run.firstTry[op]; at < end; at++) {
            // one that took no time is a moment, which must be seen
            const from = (run.tryStart[at] - view.from) * scale;
            const until = Math.max((run.tryEnd[at] - view.from) * scale, from + 0.001);
            if (until <= 0 || from >= size) continue;
            begin(change, Math.max(0, from), 1);
            begin(change, Math.min(size, until), -1);
        }
    };
    if (members) for (const op of members) add(op);
    else for (let op = 0; op < run.count; op++) add(op);
    const sums = new Float64Array(size);
    let sum = 0;
    for (let at = 0; at < size; at++) {
        sum += change[at];
        sums[at] = Math.max(0, sum);
    }
    return sums;
}

export interface Rows {
    rows: Row[];
    first: number;
    last: number;
    top: number;
    active: number;
}

export function paintRows(
    canvas: HTMLCanvasElement,
    run: Run,
    { rows, first, last, top, active }: Rows,
    view: View,
    path: Set<number>,
    colors: Palette,
) {
    const to = prepare(canvas);
    if (!to) return;
    const width = canvas.clientWidth;
    const scale = width / Math.max(1, view.until - view.from);
    const step = tick(view.until - view.from, width);
    to.strokeStyle = colors.line;
    to.beginPath();
    for (let at = Math.ceil(view.from / step) * step; at <= view.until; at += step) {
        const x = Math.round((at - view.from) * scale) + 0.5;
        to.moveTo(x, 0);
        to.lineTo(x, canvas.clientHeight);
    }
    to.stroke();
    for (let at = first; at < last; at++) {
        const row = rows[at];
        const y = at * ROW - top;
        if (at === active) {
            to.fillStyle = colors.faint;
            to.fillRect(0, y, width, ROW);
        }
        if (row.members) paintGroup(to, run, row, y, width, view, colors);
        else paintOperation(to, run, row.op, y, width, view, scale, path.has(row.op), colors);
    }
}

function paintOperation(
    to: CanvasRenderingContext2D,
    run: Run,
    op: number,
    y: number,
    width: number,
    view: View,
    scale: number,
    isOnPath: boolean,
    colors: Palette,
) {
    const bar = (from: number, until: number, color: string, height: number, least: number) => {
        const x = (from - view.from) * scale;
        const end = Math.max(x + least, (until - view.from) * scale);
        if (end < 0 || x > width) return;
        const [left, right] = [Math.max(-4, x), Math.min(width + 4, end)];
        to.fillStyle = color;
        to.beginPath();
        to.roundRect(left, y + (ROW - height) / 2, right - left, height, Math.min(3, (right - left) / 2));
        to.fill();
    };
    const attempts = run.attempts(op);
    for (const wait of run.waitsAfter(op)) bar(wait.from, wait.until, colors.wait[wait.kind], wait.kind ? 6 : 2, 0);
    for (const attempt of attempts) {
        for (const wait of attempt.waits) bar(wait.from, wait.until, colors.wait[wait.kind], wait.kind ? 6 : 2, 0);
    }
    for (const attempt of attempts) {
        if (isOnPath) bar(attempt.start - 1.5 / scale, attempt.end + 1.5 / scale, colors.path, 19, 5);
        bar(attempt.start, attempt.end, colors.ending[attempt.ending], 14, 2);
    }
    if (!attempts.length && run.settled[op] >= 0) {
        const x = (run.settled[op] - view.from) * scale;
        to.fillStyle = colors.state[run.state[op]];
        to.beginPath();
        to.moveTo(x, y + 7);
        to.lineTo(x + 5, y + 12);
        to.lineTo(x, y + 17);
        to.lineTo(x - 5, y + 12);
        to.fill();
    }
}

function paintGroup(
    to: CanvasRenderingContext2D,
    run: Run,
    row: Row,
    y: number,
    width: number,
    view: View,
    colors: Palette,
) {
    const members = row.members ?? [];
    const sums = load(run, members, view, Math.max(1, Math.floor(width)));
    let most = 1;
    for (const sum of sums) most = Math.max(most, sum);
    let isRunning = false;
    const ticks = new Set<number>();
    const scale = width / Math.max(1, view.until - view.from);
    for (const op of members) {
        if (run.state[op] === RUNNING) isRunning = true;
        const end = run.firstTry[op] + run.tries[op];
        for (let at = run.firstTry[op]; at < end; at++)
            if (run.tryEnding[at] === 2) ticks.add(Math.round((run.tryEnd[at] - view.from) * scale));
    }
    to.fillStyle = isRunning ? colors.ending[0] : colors.ending[1];
    to.globalAlpha = row.isOpen ? 0.35 : 0.85;
    for (let x = 0; x < sums.length; x++) {
        if (sums[x] < 1e-6) continue;
        const height = Math.max(2, (sums[x] / most) * 18);
        to.fillRect(x, y + 21 - height, 1, height);
    }
    to.globalAlpha = 1;
    to.fillStyle = colors.ending[2];
    for (const x of ticks) if (x >= 0 && x <= width) to.fillRect(x - 1, y + 3, 2, 18);
}

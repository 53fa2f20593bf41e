// The graph of a run, folded until it can be read: instances of one operation are one node, and if there are still too
// many nodes, those of a layer that are alike.

import type { Run } from "./data";
import { STATES, stem } from "./data";

export interface Node {
    label: string;
    type: string;
    ops: number[];
    /** Number of operations in each state. */
    counts: number[];
    layer: number;
    x: number;
    y: number;
    isOnPath: boolean;
}

export interface Graph {
    nodes: Node[];
    edges: [from: number, to: number, isOnPath: boolean][];
    width: number;
    height: number;
    /** Whether nodes stand for operations that are only alike. */
    isFolded: boolean;
}

/** Most nodes that are drawn. */
const MOST = 160;
/** Most layers, if even those are too many. */
const LAYERS = 40;
export const NODE = { width: 168, height: 40, gapX: 56, gapY: 14 };

export function graphOf(run: Run): Graph {
    const { keyOf, labels } = keys(run);
    let nodeOf = keyOf;
    let names = labels;
    const isFolded = labels.length > MOST;
    for (const fold of isFolded ? [byStem, byType, byLayer] : []) {
        const folded = fold(run, nodeOf, names);
        nodeOf = nodeOf.map((node) => (node < 0 ? -1 : folded.of[node]));
        names = folded.names;
        if (names.length <= MOST) break;
    }
    const edges = edgesOf(run, nodeOf);
    const layers = layersOf(names.length, edges);
    const path = new Set(run.head.path.map((step) => step[0]));
    const nodes: Node[] = names.map((label, at) => ({
        label,
        type: "",
        ops: [],
        counts: STATES.map(() => 0),
        layer: layers[at],
        x: 0,
        y: 0,
        isOnPath: false,
    }));
    for (let op = 0; op < run.count; op++) {
        const node = nodes[nodeOf[op]];
        if (!node) continue;
        node.ops.push(op);
        node.counts[run.state[op]]++;
        node.isOnPath ||= path.has(op);
        node.type = node.type && node.type !== run.type(op) ? "several types" : run.type(op);
    }
    const isStep = (one: number, other: number) => nodes[one].isOnPath && nodes[other].isOnPath;
    const drawn: Graph["edges"] = edges.map(([from, to]) => [from, to, isStep(from, to)]);
    return { ...place(nodes, edges), edges: drawn, isFolded };
}

/** Nodes of operations without parts; the numbers of instances do not count. */
function keys(run: Run) {
    const known = new Map<string, number>();
    const labels: string[] = [];
    const keyOf: number[] = new Array(run.count);
    for (let op = 0; op < run.count; op++) {
        if (run.parts.has(op)) {
            keyOf[op] = -1;
            continue;
        }
        const name = run.of[op] < 0 ? run.names[op] : run.names[op].replace(/#\d+/g, "");
        let node = known.get(name);
        if (node === undefined) {
            node = labels.push(name) - 1;
            known.set(name, node);
        }
        keyOf[op] = node;
    }
    return { keyOf, labels };
}

/** The dependencies between nodes. One on an operation with parts is one on its last parts. */
function edgesOf(run: Run, nodeOf: number[]): [number, number][] {
    const seen = new Set<number>();
    const edges: [number, number][] = [];
    const add = (from: number, to: number) => {
        const code = from * 4_194_304 + to;
        if (from < 0 || to < 0 || from === to || seen.has(code)) return;
        seen.add(code);
        edges.push([from, to]);
    };
    const ends = new Map<number, { first: number[]; last: number[] }>();
    const endsOf = (op: number): { first: number[]; last: number[] } => {
        const parts = run.parts.get(op);
        if (!parts) return { first: [nodeOf[op]], last: [nodeOf[op]] };
        const known = ends.get(op);
        if (known) return known;
        const [first, last] = [new Set<number>(), new Set<number>()];
        const followed = new Set<number>();
        for (const part of parts) for (const on of run.deps(part)) followed.add(on);
        for (const part of parts) {
            const of = endsOf(part);
            if (!run.deps(part).some((on) => run.of[on] === op)) for (const node of of.first) first.add(node);
            if (!followed.has(part)) for (const node of of.last) last.add(node);
        }
        const found = { first: [...first], last: [...last] };
        ends.set(op, found);
        return found;
    };
    for (let op = 0; op < run.count; op++) {
        const deps = run.deps(op);
        const to = deps.length || run.origin[op] === 3 ? endsOf(op).first : [];
        for (const on of deps) for (const from of endsOf(on).last) for (const node of to) add(from, node);
        if (run.origin[op] === 3) for (const from of endsOf(run.of[op]).last) for (const node of to) add(from, node);
    }
    return edges;
}

/** The longest way to each node. */
function layersOf(size: number, edges: [number, number][]): number[] {
    const next: number[][] = Array.from({ length: size }, () => []);
    const open = new Array<number>(size).fill(0);
    for (const [from, to] of edges) {
        next[from].push(to);
        open[to]++;
    }
    const layers = new Array<number>(size).fill(0);
    const ready: number[] = [];
    for (let node = 0; node < size; node++) if (!open[node]) ready.push(node);
    const settled = new Set(ready);
    for (let at = 0; at < size; at++) {
        // nodes that stand for several operations may wait for one another
        if (at === ready.length) ready.push(open.findIndex((_, node) => !settled.has(node)));
        settled.add(ready[at]);
        for (const to of next[ready[at]]) {
            layers[to] = Math.max(layers[to], layers[ready[at]] + 1);
            if (--open[to] === 0 && !settled.has(to)) ready.push(to);
        }
    }
    return layers;
}

type Fold = (run: Run, nodeOf: number[], names: string[]) => { of: number[]; names: string[] };

const byStem: Fold = (_run, _nodeOf, names) => {
    const stems = names.map(stem);
    return foldBy(names, (node) => stems[node], (node) => stems[node]);
};

const byType: Fold = (run, nodeOf, names) => {
    const types: string[] = names.map(() => "");
    for (let op = 0; op < run.count; op++) if (nodeOf[op] >= 0) types[nodeOf[op]] ||= run.type(op);
    return foldBy(names, (node) => types[node], (node) => `type ${types[node]}`);
};

const byLayer: Fold = (run, nodeOf, names) => {
    const layers = layersOf(names.length, edgesOf(run, nodeOf));
    const deepest = layers.reduce((most, layer) => Math.max(most, layer), 0) + 1;
    const step = Math.max(1, Math.ceil(deepest / LAYERS));
    const of = (node: number) => Math.floor(layers[node] / step);
    const label = (node: number) => (step === 1 ? `step ${of(node) + 1}` : `steps ${of(node) * step + 1}–${(of(node) + 1) * step}`);
    return foldBy(names, (node) => String(of(node)), label);
};

function foldBy(names: string[], key: (node: number) => string, label: (node: number) => string) {
    const known = new Map<string, number>();
    const folded: string[] = [];
    const of = names.map((_, node) => {
        let at = known.get(key(node));
        if (at === undefined) {
            at = folded.push(label(node)) - 1;
            known.set(key(node), at);
        }
        return at;
    });
    return { of, names: folded };
}

/** Places layers from left to right, and orders each by its neighbours so that few edges cross. */
function place(nodes: Node[], edges: [number, number][]): { nodes: Node[]; width: number; height: number } {
    const layers: number[][] = [];
    nodes.forEach((node, at) => {
        layers[node.layer] ??= [];
        layers[node.layer].push(at);
    });
    const order = new Array<number>(nodes.length).fill(0);
    const [before, after]: [number[][], number[][]] = [nodes.map(() => []), nodes.map(() => [])];
    for (const [from, to] of edges) {
        before[to].push(from);
        after[from].push(to);
    }
    const filled = layers.filter((layer) => layer !== undefined);
    for (const layer of filled) layer.forEach((node, at) => (order[node] = at));
    for (let round = 0; round < 6; round++) {
        const near = round % 2 ? after : before;
        for (const layer of round % 2 ? [...filled].reverse() : filled) {
            const mean = (node: number) => {
                const list = near[node];
                return list.length ? list.reduce((sum, other) => sum + order[other], 0) / list.length : order[node];
            };
            const means = new Map(layer.map((node) => [node, mean(node)]));
            layer.sort((one, other) => (means.get(one) ?? 0) - (means.get(other) ?? 0));
            layer.forEach((node, at) => (order[node] = at));
        }
    }
    const most = filled.reduce((size, layer) => Math.max(size, layer.length), 1);
    const height = most * (NODE.height + NODE.gapY) - NODE.gapY;
    filled.forEach((layer, column) => {
        const own = layer.length * (NODE.height + NODE.gapY) - NODE.gapY;
        layer.forEach((node, at) => {
            nodes[node].x = column * (NODE.width + NODE.gapX);
            nodes[node].y = (height - own) / 2 + at * (NODE.height + NODE.gapY);
        });
    });
    return { nodes, width: filled.length * (NODE.width + NODE.gapX) - NODE.gapX, height };
}

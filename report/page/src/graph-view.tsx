// The graph of the run, coloured by outcome.

import { useMemo } from "preact/hooks";
import { Section } from "./common";
import type { Run } from "./data";
import { STATE_LABELS, STATES } from "./data";
import { count } from "./format";
import { graphOf, NODE, type Node } from "./graph";
import { groupState } from "./timeline";

interface Props {
    run: Run;
    select: (op: number) => void;
    /** Shows all operations of a node in the table. */
    filter: (text: string) => void;
}

export function GraphView({ run, select, filter }: Props) {
    const graph = useMemo(() => graphOf(run), [run, run.version]);
    const pad = 8;
    const width = graph.width + 2 * pad;
    const height = graph.height + 2 * pad;
    const middle = NODE.height / 2;
    const note = graph.isFolded
        ? "operations that are alike are one node"
        : graph.nodes.some((node) => node.ops.length > 1)
          ? "instances of one operation are one node"
          : null;
    return (
        <Section id="graph" title="Graph" note={note ? <span class="soft">{note}</span> : null}>
            <div class="card graph" tabIndex={0} aria-label="Graph of operations; it scrolls">
                <svg width={width} height={height} viewBox={`${-pad} ${-pad} ${width} ${height}`} role="group" aria-label="Graph">
                    <g class="edges" aria-hidden="true">
                        {graph.edges.map(([from, to, isOnPath]) => {
                            const [one, other] = [graph.nodes[from], graph.nodes[to]];
                            const [x, y] = [one.x + NODE.width, one.y + middle];
                            const [toX, toY] = [other.x, other.y + middle];
                            const bend = Math.max(24, (toX - x) / 2);
                            const d = `M${x} ${y}C${x + bend} ${y} ${toX - bend} ${toY} ${toX} ${toY}`;
                            return <path key={`${from}-${to}`} d={d} class={isOnPath ? "on-path" : ""} />;
                        })}
                    </g>
                    {graph.nodes.map((node, at) => (
                        <GraphNode
                            key={at}
                            run={run}
                            node={node}
                            open={() => (node.ops.length === 1 ? select(node.ops[0]) : filter(searchOf(run, node)))}
                        />
                    ))}
                </svg>
            </div>
        </Section>
    );
}

function GraphNode({ run, node, open }: { run: Run; node: Node; open: () => void }) {
    const state = groupState(run, node.ops);
    const many = node.ops.length > 1;
    const states = node.counts.map((value, at) => (value ? `${count(value)} ${STATE_LABELS[at]}` : "")).filter(Boolean);
    const label = `${node.label}, ${many ? states.join(", ") : STATE_LABELS[state]}`;
    let x = 0;
    const bar = NODE.width - 20;
    return (
        <g
            class={`node s-${STATES[state]}${node.isOnPath ? " critical" : ""}`}
            transform={`translate(${node.x} ${node.y})`}
            role="button"
            tabIndex={0}
            aria-label={label}
            onClick={open}
            onKeyDown={(event) => {
                if (event.key === "Enter" || event.key === " ") {
                    open();
                    event.preventDefault();
                }
            }}
        >
            <title>{label}</title>
            <rect class="box" width={NODE.width} height={NODE.height} rx="7" />
            <rect class="edge" width="5" height={NODE.height} rx="2.5" />
            <text x="14" y={many ? 17 : 18} class="name">
                {fit(node.label, many ? 17 : 23)}
            </text>
            {many ? (
                <text x={NODE.width - 8} y="17" text-anchor="end" class="kind">
                    ×{count(node.ops.length)}
                </text>
            ) : (
                <text x="14" y="32" class="kind">
                    {fit(node.type, 26)}
                </text>
            )}
            {many
                ? node.counts.map((value, at) => {
                      if (!value) return null;
                      const width = Math.max(2, (value / node.ops.length) * bar);
                      const part = <rect key={at} class={`part s-${STATES[at]}`} x={12 + x} y="26" width={Math.min(width, bar - x)} height="6" rx="1" />;
                      x += width;
                      return part;
                  })
                : null}
        </g>
    );
}

function searchOf(run: Run, node: Node): string {
    const names = node.ops.map((op) => run.names[op]);
    let common = names[0] ?? "";
    for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
    return common || node.label;
}

/** Keeps the end of a name, which tells it from others. */
function fit(text: string, most: number): string {
    const letters = [...text];
    if (letters.length <= most) return text;
    const head = Math.ceil((most - 1) / 3);
    return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (most - 1 - head)).join("")}`;
}

// Submits an agenda: a text that is checked before it is queued, or a template with a form for its inputs.

import { useEffect, useRef, useState } from "preact/hooks";
import { plural } from "../format";
import { call, type Fault, part, Refusal, words } from "./api";
import type { Stored } from "./model";
import { PageTitle } from "./parts";
import { address, go } from "./route";
import { TemplateForm } from "./template-form";
import { shown } from "./text";

const EXAMPLE = `title: hello
operations:
  - name: greet
    type: exec
    payload: {shell: "echo hello"}
`;

/** Wait after the last key before the text is checked. */
const PAUSE_MS = 500;
/** Most faults that are listed. */
const MOST = 200;

export function Submit({ query }: { query: URLSearchParams }) {
    const template = query.get("template");
    const isTemplate = template !== null;
    return (
        <>
            <PageTitle title="Submit an agenda" />
            <div class="filters" role="group" aria-label="Way of submission">
                <button type="button" aria-pressed={!isTemplate} onClick={() => go(address("submit"), true)}>
                    Paste a text
                </button>
                <button type="button" aria-pressed={isTemplate} onClick={() => go("#/submit?template=", true)}>
                    Fill in a template
                </button>
            </div>
            {isTemplate ? <TemplateForm id={template} /> : <Paste from={query.get("from") ?? ""} />}
        </>
    );
}

/** JSON begins with a brace; all else is YAML. */
const typeOf = (text: string) => (text.trimStart().startsWith("{") ? "application/json" : "application/yaml");

interface Checked {
    text: string;
    faults: Fault[];
}

function Paste({ from }: { from: string }) {
    const [text, setText] = useState("");
    const [checked, setChecked] = useState<Checked | null>(null);
    const [problem, setProblem] = useState("");
    const [isBusy, setBusy] = useState(false);
    const area = useRef<HTMLTextAreaElement>(null);
    useEffect(() => {
        if (!from) return;
        call<Stored>(`agendas/${part(from)}`).then(
            (agenda) => {
                // the service gives a copy ids and times of its own
                for (const name of ["id", "progressId", "agendaInsight", "addedTime", "updatedTime", "cid"]) delete agenda[name];
                setText(JSON.stringify(agenda, null, 2));
            },
            (error) => setProblem(words(error)),
        );
    }, [from]);
    const check = async (text: string): Promise<Fault[]> => {
        const { faults } = await call<{ faults: Fault[] }>("check", { method: "POST", body: text, type: typeOf(text) });
        setChecked({ text, faults });
        return faults;
    };
    useEffect(() => {
        if (!text.trim()) {
            setChecked(null);
            return;
        }
        const timer = setTimeout(() => void check(text).catch((error) => setProblem(words(error))), PAUSE_MS);
        return () => clearTimeout(timer);
    }, [text]);
    const submit = async (event: Event) => {
        event.preventDefault();
        setProblem("");
        if (!text.trim()) {
            setProblem("Paste an agenda first.");
            area.current?.focus();
            return;
        }
        setBusy(true);
        try {
            const faults = await check(text);
            if (faults.some((fault) => fault.severity === "error")) {
                setProblem("The agenda has faults, so it was not queued.");
            } else {
                const made = await call<Stored>("agendas", { method: "POST", body: text, type: typeOf(text) });
                go(address("agenda", made.id));
                return;
            }
        } catch (error) {
            if (error instanceof Refusal && error.faults.length) setChecked({ text, faults: error.faults });
            setProblem(words(error));
        }
        setBusy(false);
    };
    const faults = checked?.faults ?? [];
    const isFresh = checked?.text === text;
    return (
        <form onSubmit={(event) => void submit(event)}>
            <div class="two editor-row">
                <Editor text={text} setText={setText} faults={isFresh ? faults : []} area={area} />
                <section class="card faults" aria-labelledby="faults-title" aria-busy={!isFresh}>
                    <h2 id="faults-title">
                        <span role="status">
                            {!text.trim()
                                ? "Not checked yet"
                                : !checked || !isFresh
                                  ? "Checking…"
                                  : faults.length
                                    ? plural(faults.length, "fault")
                                    : "No faults"}
                        </span>
                    </h2>
                    {!text.trim() ? (
                        <p class="soft">
                            YAML or JSON.{" "}
                            <button type="button" class="link" onClick={() => setText(EXAMPLE)}>
                                Insert an example
                            </button>
                        </p>
                    ) : null}
                    <ol>
                        {faults.slice(0, MOST).map((fault, at) => (
                            <li key={at} class={fault.severity === "error" ? "fault" : "fault warning"}>
                                <button type="button" class="link" disabled={fault.line === null} onClick={() => select(area.current, fault)}>
                                    {fault.line === null ? shown(fault.pointer || "agenda") : `line ${fault.line}, column ${fault.column}`}
                                </button>{" "}
                                <span class="chip">{fault.severity}</span>
                                <p>
                                    <bdi>{shown(fault.message, 1000)}</bdi>
                                </p>
                                {fault.hint ? <p class="soft">{shown(fault.hint, 500)}</p> : null}
                            </li>
                        ))}
                    </ol>
                    {faults.length > MOST ? <p class="soft">The first {MOST} are shown.</p> : null}
                </section>
            </div>
            {problem ? (
                <p class="card problem" role="alert">
                    {shown(problem, 2000)}
                </p>
            ) : null}
            <div class="actions">
                <button type="submit" class="button main" disabled={isBusy}>
                    Check and queue
                </button>
            </div>
        </form>
    );
}

/** Puts the cursor at the place of a fault. */
function select(area: HTMLTextAreaElement | null, { line, column }: Fault) {
    if (!area || line === null) return;
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    // columns count characters, and selections count UTF-16 units
    const before = [...(lines[line - 1] ?? "")].slice(0, Math.max(0, (column ?? 1) - 1)).join("").length;
    area.focus();
    area.setSelectionRange(start + before, start + (lines[line - 1] ?? "").length);
    const height = Number.parseFloat(getComputedStyle(area).lineHeight) || 18;
    area.scrollTop = Math.max(0, (line - 4) * height);
}

interface EditorProps {
    text: string;
    setText: (text: string) => void;
    faults: Fault[];
    area: { current: HTMLTextAreaElement | null };
}

/** Most lines that have numbers: a longer text is edited elsewhere. */
const NUMBERED = 5_000;

/** A text with line numbers, on which faults are marked. */
function Editor({ text, setText, faults, area }: EditorProps) {
    const gutter = useRef<HTMLDivElement>(null);
    const lines = Math.min(NUMBERED, text.split("\n").length);
    const marked = new Map<number, string>();
    for (const fault of faults) {
        if (fault.line !== null && marked.get(fault.line) !== "error") marked.set(fault.line, fault.severity);
    }
    return (
        <div class="card editor">
            <div class="gutter" ref={gutter} aria-hidden="true">
                {Array.from({ length: Math.max(1, lines) }, (_, at) => (
                    <div key={at} class={marked.get(at + 1) ?? ""}>
                        {at + 1}
                    </div>
                ))}
            </div>
            <textarea
                ref={area}
                aria-label="Text of the agenda"
                aria-invalid={faults.some((fault) => fault.severity === "error") ? "true" : undefined}
                spellcheck={false}
                wrap="off"
                placeholder={EXAMPLE}
                value={text}
                onInput={(event) => setText(event.currentTarget.value)}
                onScroll={(event) => {
                    if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop;
                }}
            />
        </div>
    );
}

// A form made from the inputs of an agenda template.

import { useState } from "preact/hooks";
import { call, type Fault, part, post, Refusal, words } from "./api";
import { useData } from "./live";
import type { Stored } from "./model";
import { Show } from "./parts";
import { address, go } from "./route";
import { shown } from "./text";

interface Input {
    type?: string;
    description?: string;
    default?: unknown;
    required?: boolean;
    enum?: unknown[];
    pattern?: string;
    minimum?: number;
    maximum?: number;
}

interface Template extends Stored {
    agenda?: { inputs?: Record<string, Input | null>; title?: string };
}

export function TemplateForm({ id }: { id: string }) {
    const list = useData<{ items: Stored[] }>("templates", (signal) => call("agenda-templates?byFields=id,title&bylimit=500", { signal }));
    return (
        <Show loaded={list}>
            {({ items }) => (
                <>
                    <label class="field">
                        <span>Template</span>
                        <select value={id} onChange={(event) => go(`#/submit?template=${encodeURIComponent(event.currentTarget.value)}`, true)}>
                            <option value="">{items.length ? "Choose a template" : "There are no templates"}</option>
                            {items.map((item) => (
                                <option key={item.id} value={item.id}>
                                    {shown(item.title || item.id, 100)}
                                </option>
                            ))}
                        </select>
                    </label>
                    {id ? <Chosen key={id} id={id} /> : null}
                </>
            )}
        </Show>
    );
}

function Chosen({ id }: { id: string }) {
    const loaded = useData<Template>(`template ${id}`, async (signal, before) => before ?? call(`agenda-templates/${part(id)}`, { signal }));
    return <Show loaded={loaded}>{(template) => <Form template={template} />}</Show>;
}

type Values = Record<string, string>;

function Form({ template }: { template: Template }) {
    const declared = template.agenda?.inputs;
    const inputs: [string, Input][] =
        declared && typeof declared === "object" ? Object.entries(declared).map(([name, input]) => [name, input ?? {}]) : [];
    // a template may also take a payload, by references to it
    const takesPayload = /@<pop\.(payload|transformRequest)/.test(JSON.stringify(template.agenda ?? {}));
    const [values, setValues] = useState<Values>({});
    const [title, setTitle] = useState("");
    const [payload, setPayload] = useState("{}");
    const [errors, setErrors] = useState<Values>({});
    const [problem, setProblem] = useState("");
    const [isBusy, setBusy] = useState(false);
    const submit = async (event: Event) => {
        event.preventDefault();
        const [given, found] = read(inputs, values);
        let body: unknown = {};
        try {
            body = JSON.parse(payload);
        } catch (error) {
            found["payload:"] = String(error);
        }
        setErrors(found);
        setProblem("");
        if (Object.keys(found).length) {
            setProblem("Some values are missing or wrong.");
            return;
        }
        setBusy(true);
        try {
            const made = await post<Stored>(`agenda-templates/${part(template.id)}/agendas`, {
                inputs: given,
                payload: body,
                ...(title.trim() ? { title: title.trim() } : {}),
            });
            go(address("agenda", made.id));
            return;
        } catch (error) {
            const faults = error instanceof Refusal ? error.faults : [];
            const at = ofFields(faults, inputs);
            setErrors(at);
            setProblem(Object.keys(at).length ? "Some values are missing or wrong." : words(error));
        }
        setBusy(false);
    };
    return (
        <form class="card form" noValidate onSubmit={(event) => void submit(event)}>
            {inputs.length || takesPayload ? null : <p class="soft">This template has no inputs.</p>}
            {inputs.map(([name, input]) => (
                <Field
                    key={name}
                    name={name}
                    input={input}
                    value={values[name] ?? ""}
                    error={errors[name]}
                    set={(value) => setValues({ ...values, [name]: value })}
                />
            ))}
            {takesPayload ? (
                <label class="field">
                    <span>
                        Payload <span class="soft">JSON, to which the template refers as pop.payload</span>
                    </span>
                    <textarea
                        rows={4}
                        class="mono"
                        value={payload}
                        aria-invalid={errors["payload:"] ? "true" : undefined}
                        onInput={(event) => setPayload(event.currentTarget.value)}
                    />
                    {errors["payload:"] ? <span class="problem">{errors["payload:"]}</span> : null}
                </label>
            ) : null}
            <label class="field">
                <span>
                    Title <span class="soft">optional</span>
                </span>
                <input
                    type="text"
                    value={title}
                    placeholder={shown(template.agenda?.title, 100)}
                    onInput={(event) => setTitle(event.currentTarget.value)}
                />
            </label>
            {problem ? (
                <p class="problem" role="alert">
                    {shown(problem, 2000)}
                </p>
            ) : null}
            <button type="submit" class="button main" disabled={isBusy}>
                Check and queue
            </button>
        </form>
    );
}

const isRequired = (input: Input) => input.required ?? input.default === undefined;
const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

/** The values as the service takes them, and what is wrong with some. Limits are checked by the service. */
function read(inputs: [string, Input][], values: Values): [Record<string, unknown>, Values] {
    const given: Record<string, unknown> = {};
    const errors: Values = {};
    for (const [name, input] of inputs) {
        const value = values[name] ?? "";
        if (!value) {
            if (isRequired(input) && input.default === undefined) errors[name] = "This value is required.";
            continue;
        }
        const type = input.type ?? "string";
        if (input.enum) {
            given[name] = input.enum[Number(value)];
        } else if (type === "string") {
            given[name] = value;
        } else {
            try {
                given[name] = JSON.parse(value);
            } catch {
                errors[name] = type === "array" || type === "object" ? `This must be JSON of type ${type}.` : `This must be of type ${type}.`;
            }
        }
    }
    return [given, errors];
}

/** Faults of the service at the fields that they are about. */
function ofFields(faults: Fault[], inputs: [string, Input][]): Values {
    const errors: Values = {};
    for (const fault of faults) {
        const name = fault.pointer?.match(/^\/inputs\/([^/]+)/)?.[1];
        if (name && inputs.some(([known]) => known === name)) errors[name] ??= fault.message;
    }
    return errors;
}

interface FieldProps {
    name: string;
    input: Input;
    value: string;
    error?: string;
    set: (value: string) => void;
}

function Field({ name, input, value, error, set }: FieldProps) {
    const type = input.type ?? "string";
    const id = `input-${name}`;
    const described = [input.description ? `${id}-about` : "", error ? `${id}-problem` : ""].filter(Boolean).join(" ");
    const common = {
        id,
        "aria-describedby": described || undefined,
        "aria-invalid": error ? ("true" as const) : undefined,
        "aria-required": isRequired(input) && input.default === undefined ? ("true" as const) : undefined,
    };
    const hasDefault = input.default !== undefined && input.default !== null;
    const standard = hasDefault ? shown(text(input.default), 100) : "";
    const empty = hasDefault ? `default: ${standard}` : isRequired(input) ? "choose" : "none";
    const control = () => {
        if (input.enum) {
            return (
                <select {...common} value={value} onChange={(event) => set(event.currentTarget.value)}>
                    <option value="">{empty}</option>
                    {input.enum.map((one, at) => (
                        <option key={at} value={String(at)}>
                            {shown(text(one), 100)}
                        </option>
                    ))}
                </select>
            );
        }
        if (type === "boolean") {
            return (
                <select {...common} value={value} onChange={(event) => set(event.currentTarget.value)}>
                    <option value="">{empty}</option>
                    <option value="true">true</option>
                    <option value="false">false</option>
                </select>
            );
        }
        if (type === "array" || type === "object") {
            return (
                <textarea {...common} rows={3} class="mono" placeholder={standard || (type === "array" ? "[]" : "{}")} value={value} onInput={(event) => set(event.currentTarget.value)} />
            );
        }
        const isNumber = type === "integer" || type === "number";
        return (
            <input
                {...common}
                type="text"
                inputMode={isNumber ? "decimal" : undefined}
                placeholder={standard}
                value={value}
                onInput={(event) => set(event.currentTarget.value)}
            />
        );
    };
    return (
        <div class="field">
            <label for={id}>
                <bdi>{shown(name, 100)}</bdi>{" "}
                <span class="soft">
                    {type}
                    {isRequired(input) && !hasDefault ? ", required" : ""}
                    {limits(input)}
                </span>
            </label>
            {input.description ? (
                <span class="soft" id={`${id}-about`}>
                    {shown(input.description, 500)}
                </span>
            ) : null}
            {control()}
            {error ? (
                <span class="problem" id={`${id}-problem`}>
                    {shown(error, 500)}
                </span>
            ) : null}
        </div>
    );
}

function limits({ minimum, maximum, pattern }: Input): string {
    const parts = [
        minimum !== undefined ? `at least ${minimum}` : "",
        maximum !== undefined ? `at most ${maximum}` : "",
        pattern !== undefined ? `matches ${shown(pattern, 60)}` : "",
    ].filter(Boolean);
    return parts.length ? `, ${parts.join(", ")}` : "";
}

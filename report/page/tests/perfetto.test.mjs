// Perfetto reads the trace of `pop report`: its own user interface, with its trace processor, in Chromium. `PERFETTO` is the
// folder of the interface.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const folder = mkdtempSync(join(tmpdir(), "pop-perfetto-"));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };
const AGENDA = `
operations:
  - {name: first, type: exec, payload: {shell: "sleep 0.05"}}
  - {name: items, type: exec, params: {dependsOn: first, forEach: [a, b, c]}, payload: {shell: "sleep 0.03"}}
  - {name: last, type: exec, params: {dependsOn: first}, payload: {shell: "sleep 0.03"}}
  - {name: flaky, type: exec, params: {retry: {maxAttempts: 2, delayMs: 20}}, payload: {shell: "exit 1"}}
`;
let browser, server, address;

before(async () => {
    server = createServer((request, answer) => {
        const path = normalize(new URL(request.url, "http://localhost").pathname);
        try {
            const bytes = readFileSync(join(process.env.PERFETTO, path === "/" ? "index.html" : path));
            answer.writeHead(200, { "content-type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" }).end(bytes);
        } catch {
            answer.writeHead(404).end();
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${server.address().port}/`;
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});

after(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
});

/** Rows of a query, as lists. */
async function rows(page, query, columns) {
    return page.evaluate(
        async ([query, columns]) => {
            const found = await app.trace.engine.query(query);
            const list = [];
            for (const it = found.iter({}); it.valid(); it.next()) list.push(columns.map((name) => String(it.get(name))));
            return list;
        },
        [query, columns],
    );
}

test("Perfetto reads slots, waits, tracks of operations and flows", { timeout: 120_000 }, async () => {
    writeFileSync(join(folder, "a.yaml"), AGENDA);
    try {
        execFileSync(process.env.POP, ["run", "a.yaml", "-k", "-q", "-j", "2", "--run-id", "r1"], { cwd: folder, stdio: "ignore" });
    } catch (error) {
        assert.equal(error.status, 10);
    }
    const trace = execFileSync(process.env.POP, ["report", "r1", "--format", "trace"], { cwd: folder, encoding: "utf8" });
    const page = await browser.newPage();
    await page.goto(address);
    await page.waitForFunction(() => globalThis.app !== undefined);
    await page.evaluate(async (trace) => {
        const buffer = new TextEncoder().encode(trace).buffer;
        const ready = new Promise((resolve) => {
            const listen = ({ data }) => data === "PONG" && (removeEventListener("message", listen), resolve());
            addEventListener("message", listen);
        });
        postMessage("PING", "*");
        await ready;
        postMessage({ perfetto: { buffer, title: "run" } }, "*");
    }, trace);
    await page.waitForFunction(() => app.trace?.engine !== undefined);
    const problems = "select name from stats where value > 0 and severity in ('error', 'data_loss')";
    assert.deepEqual(await rows(page, problems, ["name"]), []);
    const slices = `select p.name as process, t.name as thread, s.name as slice, s.category as category, s.dur as dur
        from slice s join thread_track k on s.track_id = k.id join thread t using (utid) join process p using (upid)`;
    const columns = ["process", "thread", "slice", "category", "dur"];
    const all = await rows(page, slices, columns);
    const of = (process) => all.filter((row) => row[0] === process);
    const attempts = of("slots").map(([, , slice, category]) => `${slice} ${category}`);
    assert.deepEqual(attempts.sort(), [
        "first succeeded",
        "flaky failed",
        "flaky failed",
        "items#0 succeeded",
        "items#1 succeeded",
        "items#2 succeeded",
        "last succeeded",
    ]);
    assert.deepEqual([...new Set(of("slots").map(([, thread]) => thread))].sort(), ["slot 1", "slot 2"]);
    const first = of("operations").find(([, thread, slice]) => thread === "first" && slice === "first");
    assert.ok(Number(first[4]) >= 50_000_000, `nanoseconds: ${first}`);
    const waits = await rows(page, "select name from slice where category = 'wait' and dur > 0 group by name order by name", ["name"]);
    for (const wait of ["backOff", "wait: backOff", "slot", "wait: slot"]) assert.ok(waits.flat().includes(wait), `${wait} of ${waits}`);
    const flows = `select o.name as "from", i.name as "to" from flow f join slice o on f.slice_out = o.id join slice i on f.slice_in = i.id`;
    assert.deepEqual(await rows(page, flows, ["from", "to"]), [["first", "last"]]);
    await page.close();
});

// Opens reports of real runs in Chromium. `POP` is the program, `CHROMIUM` the browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fits, launch, violations, watch } from "./browser.mjs";

const POP = process.env.POP;
const folder = mkdtempSync(join(tmpdir(), "pop-report-page-"));
let browser;

const AGENDA = `
inputs: {width: {type: integer, default: 720}}
operations:
  - {name: find, type: exec, payload: {shell: "printf 'one.mp4\\\\ntwo.mp4\\\\nbroken.mp4\\\\n'", capture: lines}}
  - name: video
    type: agenda
    params: {forEach: "@<find.out::/stdout>", itemName: "@<pop.item>", itemFailures: keep}
    payload:
      operations:
        - {name: probe, type: exec, payload: {shell: "true"}}
        - {name: small, type: exec, params: {dependsOn: probe, lock: SAFE, lockKey: disk}, payload: {shell: "echo reading $I; test $I != broken.mp4", env: {I: "@<pop.item>"}}}
  - {name: file, type: exec, params: {writes: [made.txt]}, payload: {shell: "echo made > made.txt"}}
  - {name: upload, type: exec, params: {dependsOn: video, retry: {maxAttempts: 2, delayMs: 20}}, payload: {shell: "echo no route to storage; exit 22"}}
  - {name: later, type: exec, params: {dependsOn: upload}, payload: {shell: "true"}}
`;

// every text that a run can bring into the page
const EVIL = `</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">`;
const HOSTILE = {
    inputs: { evil: { type: "string", default: `${EVIL}<!--` } },
    operations: [
        {
            name: "evil",
            type: "exec",
            params: { forEach: [`${EVIL}\u202e\u0007`, "x".repeat(100_000)], itemName: "@<pop.item>", itemFailures: "keep" },
            payload: { shell: `echo "$T"; echo "$T" >&2; exit 1`, env: { T: `${EVIL}\u202egpj.exe` } },
        },
        { name: "result", type: "exec", payload: { command: ["echo", EVIL + "y".repeat(100_000)], capture: "text" } },
    ],
};

function pop(codes, ...args) {
    try {
        return execFileSync(POP, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
        assert.ok(codes.includes(error.status), `pop ${args.join(" ")}: ${error.status}\n${error.stderr}`);
        return error.stdout;
    }
}

function report(name, agenda) {
    writeFileSync(join(folder, `${name}.yaml`), typeof agenda === "string" ? agenda : JSON.stringify(agenda));
    pop([0, 10], "run", `${name}.yaml`, "--run-id", name, "-k", "-q", "-j", "2");
    pop([0], "report", name);
    return `file://${join(folder, `report-${name}.html`)}`;
}

/** A page that fails the test if it errs, or asks for anything but itself. */
async function open(address, options = {}) {
    const page = await browser.newPage(options);
    const faults = watch(page, (url) => url.split("#")[0] === address || url.startsWith(`${address}events`));
    await page.goto(address);
    await page.waitForSelector("html[data-ready]");
    return { page, faults };
}

let failed;
before(async () => {
    assert.ok(POP, "POP must name the program");
    browser = await launch();
    failed = report("failed", AGENDA);
});
after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
});

test("the page opens from a file without an error or a request", async () => {
    const { page, faults } = await open(failed);
    assert.match(await page.locator("h1").innerText(), /Failed failed\.yaml/);
    assert.equal(await page.locator("section").count(), 8);
    await page.locator("#graph").scrollIntoViewIfNeeded();
    await page.locator(".graph .node").first().waitFor();
    assert.equal(await page.locator(".graph .node").count(), 6);
    assert.match(await page.locator("#files").innerText(), /made\.txt/);
    assert.match(await page.locator("#inputs").innerText(), /width\s+720/);
    // something is drawn
    const ink = await page.locator("canvas.bars").evaluate((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, at) => at % 4 === 3 && value > 200).length;
    });
    assert.ok(ink > 500, `${ink} pixels`);
    assert.deepEqual(faults, []);
    await page.close();
});

test("nothing moves when the page is scrolled, so that no click is lost", async () => {
    const { page } = await open(failed, { viewport: { width: 1400, height: 200 } });
    const place = () => page.locator("#operations").evaluate((section) => section.offsetTop);
    const opened = await place();
    await page.locator("#operations").scrollIntoViewIfNeeded();
    await page.locator(".graph .node").first().waitFor();
    assert.equal(await place(), opened);
    await page.close();
});

test("search and filters leave what matches", async () => {
    const { page, faults } = await open(failed);
    const rows = page.locator(".grid-row");
    const all = await rows.count();
    await page.keyboard.press("/");
    await page.keyboard.type("broken");
    await page.waitForFunction((count) => document.querySelectorAll(".grid-row").length < count, all);
    assert.deepEqual(await rows.locator("bdi").allInnerTexts(), ["video[broken.mp4]", "video[broken.mp4]/probe", "video[broken.mp4]/small"]);
    assert.match(await page.locator("#operations .note").innerText(), /3 of 14/);
    await page.keyboard.press("Escape");
    await page.locator("#operations .note button").waitFor({ state: "detached" });
    await page.locator('.filters button[data-state="failed"]').click();
    await page.waitForFunction(() => document.querySelectorAll(".grid-row").length === 3);
    await page.getByRole("button", { name: "show all" }).click();
    await page.waitForFunction((count) => document.querySelectorAll(".grid-row").length === count, all);
    assert.deepEqual(faults, []);
    await page.close();
});

test("a failure opens, with its log and its command, by mouse and by keys", async () => {
    const { page, faults } = await open(failed);
    const second = page.locator("details.failure").nth(1);
    assert.equal(await second.locator(".log").isVisible(), false);
    await second.locator("summary").click();
    assert.equal(await second.locator(".log").isVisible(), true);
    assert.match(await page.locator("details.failure").allInnerTexts().then((texts) => texts.join("\n")), /no route to storage/);
    assert.match(await page.locator("#failures").innerText(), /pop rerun failed upload/);
    await page.keyboard.press("f");
    const panel = page.locator("aside.details");
    assert.match(await panel.locator("h2").innerText(), /upload|small/);
    assert.match(await panel.innerText(), /pop explain failed/);
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await page.locator(".time-rows").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    assert.equal(await panel.locator("h2").innerText(), "find");
    assert.deepEqual(faults, []);
    await page.close();
});

test("hostile texts are shown as texts", async () => {
    const { page, faults } = await open(report("hostile", HOSTILE));
    await page.keyboard.press("f");
    const text = await page.locator("body").innerText();
    assert.ok(text.includes(EVIL), "it is shown");
    assert.ok(!text.includes("\u202e") && !text.includes("\u0007"), "characters that act are replaced");
    await page.locator('.grid-row:has-text("result")').click();
    const result = await page.locator("aside.details").innerText();
    assert.ok(result.includes("<script>window.hacked=1</script>"), "a result is shown");
    assert.match(result, /\[cut: 2000 of 100\d+ bytes\]/);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("img").count(), 0);
    assert.deepEqual(faults, []);
    await page.close();
});

test("no rule of accessibility is broken, in light and dark, wide and narrow", async () => {
    for (const colorScheme of ["light", "dark"]) {
        for (const width of [1400, 390]) {
            const { page, faults } = await open(failed, { colorScheme, viewport: { width, height: 900 } });
            const check = () => violations(page);
            assert.deepEqual(await check(), [], `${colorScheme} ${width}`);
            await page.keyboard.press("f");
            assert.deepEqual(await check(), [], `${colorScheme} ${width}, with details`);
            await fits(page, `the page of ${width} pixels`);
            assert.deepEqual(faults, []);
            await page.close();
        }
    }
});

test("usage is shown where the report has it", async () => {
    const address = report("usage", AGENDA);
    const path = address.slice("file://".length);
    const written = readFileSync(path, "utf8");
    // the programs of this run used little; large numbers show the words
    const known = /"usage":\{"cpuMs":[^}]*\}/;
    assert.match(written, known);
    const usage = `"usage":{"cpuMs":61000,"peakMemoryBytes":${300 * 1024 * 1024}}`;
    writeFileSync(path, written.replace(known, usage));
    const { page, faults } = await open(address);
    assert.match(await page.locator(".figures").innerText(), /CPU time\s+1 m 01 s[\s\S]*Peak memory\s+300 MiB/);
    assert.deepEqual(faults, []);
    await page.close();
});

test("paper is light, and has all operations", async () => {
    const { page, faults } = await open(failed, { colorScheme: "dark" });
    assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
    assert.equal(await page.locator(".printed tr").count(), 14);
    assert.equal(await page.locator(".graph .node").count(), 6);
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    await page.locator(".printed").waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await page.close();
});

test("nothing of a dead executor is shown as running", { timeout: 120_000 }, async () => {
    const agenda = `operations: [{name: waits, type: exec, payload: {shell: "echo here; exec sleep 600"}}]`;
    writeFileSync(join(folder, "dead.yaml"), agenda);
    const run = spawn(POP, ["run", "dead.yaml", "--run-id", "dead"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface({ input: run.stderr })) if (line.includes("waits")) break;
    const ended = new Promise((resolve) => run.on("exit", resolve));
    run.kill("SIGKILL");
    await ended;
    pop([0], "report", "dead");
    const { page, faults } = await open(`file://${join(folder, "report-dead.html")}`);
    assert.match(await page.locator("h1").innerText(), /Stopped/);
    assert.match(await page.locator(".figures").innerText(), /until its executor died/);
    assert.equal(await page.locator('.filters button[data-state="running"]').count(), 0);
    assert.match(await page.locator('.filters button[data-state="stopped"]').innerText(), /1/);
    await page.locator(".grid-row").first().click();
    await page.getByText("lost").first().waitFor();
    assert.deepEqual(faults, []);
    await page.close();
});

test("a live page follows its run", { timeout: 120_000 }, async () => {
    execFileSync("mkfifo", ["go"], { cwd: folder });
    const live = `
operations:
  - {name: first, type: exec, payload: {shell: "cat go"}}
  - {name: second, type: exec, params: {forEach: [a, b], dependsOn: first}, payload: {shell: "true"}}
  - {name: wrong, type: exec, payload: {shell: "exit 1"}}
`;
    writeFileSync(join(folder, "live.yaml"), live);
    const run = spawn(POP, ["run", "live.yaml", "--run-id", "live", "-k"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface({ input: run.stderr })) if (line.includes("failed    wrong")) break;
    run.stderr.resume();
    const server = spawn(POP, ["report", "--live", "live"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => server.on("exit", resolve));
    let address;
    for await (const line of createInterface({ input: server.stdout })) {
        address = line;
        break;
    }
    const { page, faults } = await open(address);
    assert.match(await page.locator("h1").innerText(), /Running/);
    assert.match(await page.locator(".live").innerText(), /live/);
    writeFileSync(join(folder, "go"), "go\n");
    await page.locator(".t-bad").waitFor();
    assert.match(await page.locator("#failures").innerText(), /pop rerun live wrong/);
    assert.match(await page.locator('.filters button[data-state="succeeded"]').innerText(), /4/);
    assert.match(await page.locator("#operations").innerText(), /second#1/);
    server.kill("SIGINT");
    assert.equal(await ended, 0);
    assert.deepEqual(faults.filter((fault) => !fault.includes("ERR_INCOMPLETE_CHUNKED_ENCODING") && !fault.includes("ERR_CONNECTION_REFUSED")), []);
    await page.close();
});

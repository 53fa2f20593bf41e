// The pages of a real `pop serve --with-puller` in Chromium. `POP` is the program, `CHROMIUM` the browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fits, launch, violations, watch } from "./browser.mjs";

const POP = process.env.POP;
const folder = mkdtempSync(join(tmpdir(), "pop-service-page-"));
const EVIL = `</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">`;
let browser;
let open;
let closed;

/** Starts a service in a folder of its own; it says its address when it listens. */
async function serve(name, ...options) {
    const cwd = join(folder, name);
    execFileSync("mkdir", ["-p", cwd]);
    const process = spawn(POP, ["serve", "--listen", "127.0.0.1:0", "--output", "json", "--data", "data", ...options], {
        cwd,
        stdio: ["ignore", "pipe", "ignore"],
    });
    for await (const line of createInterface({ input: process.stdout })) {
        return { address: JSON.parse(line).address, process, cwd };
    }
    assert.fail(`pop serve in ${cwd} has ended`);
}

async function call(served, method, path, body, headers = {}) {
    const response = await fetch(`${served.address}/v1/${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
}

async function submit(title, operations, more = {}) {
    const { status, body } = await call(open, "POST", "agendas", { title, operations, ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return body.id;
}

async function visit(served, hash, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
    const page = await context.newPage();
    const faults = watch(page, (url) => url.startsWith(`${served.address}/`));
    await page.goto(`${served.address}/${hash}`);
    await page.waitForSelector("html[data-ready]");
    return { page, faults, close: () => context.close() };
}

const exec = (name, shell, more = {}) => ({ name, type: "exec", payload: { shell }, ...more });

before(async () => {
    assert.ok(POP, "POP must name the program");
    browser = await launch();
    open = await serve("open", "--with-puller", "--limit", "8", "--pull-lease", "3", "--drain", "0");
    closed = await serve("closed", "--require-token");
});
after(async () => {
    await browser?.close();
    for (const served of [open, closed]) {
        if (!served) continue;
        const ended = new Promise((done) => served.process.on("exit", done));
        served.process.kill("SIGTERM");
        served.process.kill("SIGTERM");
        await ended;
    }
    rmSync(folder, { recursive: true, force: true });
});

test("an agenda is pasted, checked, queued, followed to its end, and rerun", { timeout: 120_000 }, async () => {
    execFileSync("mkfifo", ["go"], { cwd: open.cwd });
    const go = join(open.cwd, "go");
    const { page, faults, close } = await visit(open, "#/submit");
    const area = page.getByLabel("Text of the agenda");
    await area.fill("title: pasted\noperations:\n  - {name: one, type: exec, payload: '@<two.out>'}\n  - {name: three, typ: exec}\n");
    // each fault with its place, beside the text
    await page.locator(".fault").nth(2).waitFor();
    assert.match(await page.locator(".faults").innerText(), /line 3, column \d+[\s\S]*refers to `two`[\s\S]*line 4/);
    assert.equal(await page.locator(".gutter .error").count(), 2);
    await page.getByRole("button", { name: "Check and queue" }).click();
    await page.getByRole("alert").filter({ hasText: "was not queued" }).waitFor();
    assert.equal((await call(open, "GET", "runs?text=pasted")).body.items.length, 0);
    await page.locator(".fault button.link").first().click();
    assert.equal(await area.evaluate((element) => document.activeElement === element), true);
    await area.fill(`title: pasted\noperations:\n  - {name: one, type: exec, payload: {shell: "echo begins; cat ${go}; echo ends"}}\n  - {name: two, type: exec, params: {dependsOn: one}, payload: {shell: "true"}}\n`);
    await page.locator(".faults", { hasText: "No faults" }).waitFor();
    await page.getByRole("button", { name: "Check and queue" }).click();
    await page.getByRole("heading", { name: "pasted", level: 1 }).waitFor();
    // the report of the executor comes, and the log while the operation runs
    await page.getByText("report of the executor").waitFor();
    await page.locator(".run-head .state", { hasText: "running" }).waitFor();
    await page.locator('.grid-row:has-text("one")').click();
    await page.locator(".live-log", { hasText: "begins" }).waitFor();
    writeFileSync(go, "from the fifo\n");
    await page.locator(".live-log", { hasText: "ends" }).waitFor();
    assert.match(await page.locator(".live-log").innerText(), /begins\nfrom the fifo\nends/);
    await page.keyboard.press("Escape");
    await page.locator(".run-head .state", { hasText: "succeeded" }).waitFor();
    await page.locator("#graph").scrollIntoViewIfNeeded();
    await page.locator(".graph .node.s-succeeded").nth(1).waitFor();
    assert.match(await page.locator("#operations").innerText(), /succeeded[\s\S]*one[\s\S]*succeeded[\s\S]*two/);
    // a part of it runs again
    await page.getByRole("button", { name: "Rerun…" }).click();
    const question = page.getByRole("dialog");
    await question.getByText("Chosen operations").click();
    await question.getByRole("button", { name: "Run it again" }).click();
    await question.getByRole("alert").filter({ hasText: "at least one" }).waitFor();
    await question.locator("select").selectOption(["two"]);
    await question.getByRole("button", { name: "Run it again" }).click();
    await question.waitFor({ state: "detached" });
    await page.getByText("run 2 of this agenda").waitFor();
    await page.locator(".run-head .state", { hasText: "succeeded" }).waitFor();
    assert.deepEqual(faults, []);
    await close();
});

test("a running agenda is cancelled after a question, and its program ends", { timeout: 120_000 }, async () => {
    const said = join(open.cwd, "said");
    execFileSync("mkfifo", [said]);
    const sleeps = `trap 'echo stopped > ${said}; exit 1' TERM; sleep 600 & wait`;
    const id = await submit("to cancel", [exec("sleeps", sleeps), exec("after", "true", { params: { dependsOn: "sleeps" } })]);
    const { page, faults, close } = await visit(open, `#/agenda/${id}`);
    await page.locator(".run-head .state", { hasText: "running" }).waitFor();
    await page.getByText("report of the executor").waitFor();
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("button", { name: "Keep it as it is" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.equal((await call(open, "GET", `agendas/${id}/overview`)).body.work.state, "running");
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("button", { name: "Cancel the agenda" }).click();
    await page.locator(".run-head .state", { hasText: "cancelled" }).waitFor();
    await page.getByText("cancelled by a caller on this machine").waitFor();
    // its executor is stopped when the puller renews the lease next
    assert.equal(await readFile(said, "utf8"), "stopped\n");
    await page.getByRole("button", { name: "Rerun…" }).waitFor();
    assert.deepEqual(faults, []);
    await close();
});

test("lists, filters and the queue are live", { timeout: 120_000 }, async () => {
    const { page, faults, close } = await visit(open, "#/");
    const title = `appears ${Date.now()}`;
    const id = await submit(title, [exec("fails", "echo no route; exit 3")], { params: { maximumAttempts: 1 } });
    // without a reload
    const row = page.locator("tr", { hasText: title });
    await row.locator(".state", { hasText: "failed" }).waitFor();
    await page.getByPlaceholder("Title, id, link id…").fill(title.toUpperCase());
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await page.getByRole("button", { name: "succeeded" }).click();
    await page.getByText("No agenda matches.").waitFor();
    await page.getByRole("button", { name: "succeeded" }).click();
    await row.getByRole("link").click();
    await page.locator(".failure", { hasText: "fails" }).waitFor();
    assert.match(await page.locator("#failures").innerText(), /exit status 3[\s\S]*no route/);
    await page.getByRole("button", { name: "Retry…" }).waitFor();
    await call(open, "POST", "insights", { id: "nobody", title: "Nobody pulls", resourcePoolId: "default", isGlobal: true, mappers: { paramMap: ["of=nobody"] } });
    await submit("low", [exec("x", "true")], { params: { of: "nobody", priority: 1 } });
    await submit("high", [exec("x", "true")], { params: { of: "nobody", priority: 9 } });
    await page.getByRole("link", { name: "Queue" }).click();
    await page.getByRole("heading", { name: "Queue", level: 1 }).waitFor();
    await page.getByLabel("Insight").selectOption("nobody");
    const waiting = page.locator("section", { hasText: "Waiting" }).locator("tbody th");
    await waiting.nth(1).waitFor();
    assert.deepEqual(await waiting.allInnerTexts(), ["high", "low"]);
    // a lease of another puller, and its end by an administrator
    await call(open, "POST", "insights/nobody/pull", { count: 1, puller: "another machine", leaseMs: 600_000 });
    await page.locator("tr", { hasText: "another machine" }).getByRole("link", { name: "high" }).click();
    await page.getByText("the executor has not reported yet").waitFor();
    await page.getByRole("button", { name: "Reclaim…" }).click();
    await page.getByRole("button", { name: "Take it back" }).click();
    await page.getByText("is given out next").waitFor();
    assert.equal((await call(open, "GET", `agendas/${id}/overview`)).body.work.state, "failed");
    assert.deepEqual(faults, []);
    await close();
});

test("a template becomes a form, with problems at their fields", { timeout: 120_000 }, async () => {
    const agenda = {
        title: "made",
        inputs: {
            folder: { description: "folder with the videos" },
            width: { type: "integer", enum: [480, 720], default: 720 },
            count: { type: "integer", minimum: 1, maximum: 9, required: false },
            deploy: { type: "boolean", default: false },
            sizes: { type: "array", default: [1] },
        },
        operations: [
            {
                name: "show",
                type: "exec",
                payload: { shell: 'echo "$F $W $P"', env: { F: "@<pop.inputs::/folder>", W: "width @<pop.inputs::/width>", P: "@<pop.payload::/who?nobody>" }, capture: "text" },
            },
        ],
    };
    await call(open, "POST", "agenda-templates", { id: "encode", title: "Encode", agenda });
    await call(open, "POST", "schedules", { id: "nightly", cron: "0 3 * * *", agendaTemplateId: "encode" });
    const { page, faults, close } = await visit(open, "#/schedules");
    assert.match(await page.locator("tr", { hasText: "nightly" }).innerText(), /0 3 \* \* \* UTC[\s\S]*in \d+ (h|m|s)/);
    await page.getByRole("link", { name: "Submit" }).click();
    await page.getByRole("button", { name: "Fill in a template" }).click();
    await page.getByLabel("Template").selectOption("encode");
    const button = page.getByRole("button", { name: "Check and queue" });
    await button.click();
    const folderField = page.getByLabel("folder");
    await page.locator("#input-folder-problem", { hasText: "required" }).waitFor();
    assert.equal(await folderField.getAttribute("aria-invalid"), "true");
    assert.match(await page.locator("#input-folder-about").innerText(), /folder with the videos/);
    await folderField.fill("in");
    await page.getByLabel("sizes").fill("[1,");
    await button.click();
    await page.locator("#input-sizes-problem", { hasText: "JSON" }).waitFor();
    await page.getByLabel("sizes").fill("[1, 2]");
    await page.getByLabel("count").fill("12");
    await button.click();
    // the limit is known to the service
    await page.locator("#input-count-problem", { hasText: "at most 9" }).waitFor();
    await page.getByLabel("count").fill("3");
    await page.getByLabel("width").selectOption({ label: "480" });
    await page.getByLabel("Payload").fill('{"who": "me"}');
    await page.getByLabel("Title").fill("by a form");
    await button.click();
    await page.getByRole("heading", { name: "by a form", level: 1 }).waitFor();
    await page.locator(".run-head .state", { hasText: "succeeded" }).waitFor();
    await page.locator('.grid-row:has-text("show")').click();
    await page.locator("aside.details", { hasText: "in width 480 me" }).waitFor();
    // a request that was refused is logged by the browser as an error
    assert.deepEqual(faults.filter((fault) => !fault.includes("422")), []);
    await close();
});

test("hostile texts are shown as texts, and endless ones are cut", { timeout: 120_000 }, async () => {
    const title = `${EVIL}\u202egpj.exe\u0007`;
    const id = await submit(title, [exec("evil", `echo '${EVIL}'; printf '\\033[31m\\a'; exit 1`)], {
        params: { maximumAttempts: 1 },
        linkId: EVIL,
    });
    const endless = await submit("endless " + "x".repeat(1_000_000), [exec("a", "true")]);
    const { page, faults, close } = await visit(open, "#/");
    await page.locator("tr", { hasText: "window.hacked" }).locator(".state", { hasText: "failed" }).waitFor();
    const list = await page.locator("main").innerText();
    assert.ok(list.includes(EVIL), "it is shown");
    assert.ok(!list.includes("\u202e") && !list.includes("\u0007"), "characters that act are replaced");
    assert.ok(list.length < 20_000, `${list.length} characters`);
    await page.goto(`${open.address}/#/agenda/${id}`);
    await page.locator(".failure").waitFor();
    await page.locator('.grid-row:has-text("evil")').click();
    await page.locator(".live-log", { hasText: "window.hacked=1" }).waitFor();
    const text = await page.locator("body").innerText();
    assert.ok(!/[\u202e\u0007\u001b]/.test(text), "characters that act are replaced");
    await page.goto(`${open.address}/#/agenda/${endless}`);
    await page.getByRole("heading", { name: /^endless/, level: 1 }).waitFor();
    assert.ok((await page.locator("h1").innerText()).length < 400);
    // a report of a program that is no pop
    await call(open, "POST", "insights", { id: "foreign", resourcePoolId: "default", isGlobal: true, mappers: { paramMap: ["of=foreign"] } });
    for (const [name, report] of [["poor", { head: {} }], ["broken", { head: { state: EVIL, path: 7 }, chunk: { count: 3, types: [EVIL], name: [1] } }]]) {
        const id = await submit(`report is ${name}`, [exec("a", "true")], { params: { of: "foreign" } });
        const pulled = await call(open, "POST", "insights/foreign/pull", { count: 1, leaseMs: 600_000 });
        const lease = pulled.body.items[0].progressId;
        assert.equal((await call(open, "POST", `leases/${lease}/report`, report)).status, 200);
        await page.goto(`${open.address}/#/agenda/${id}`);
        await page.getByRole("alert").waitFor();
        await page.getByRole("link", { name: "Queue" }).click();
        await page.getByRole("heading", { name: "Queue", level: 1 }).waitFor();
    }
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("img").count(), 0);
    assert.deepEqual(faults, []);
    await close();
});

test("sign-in needs a token that the service knows, and scopes decide what is offered", async () => {
    const issue = (spec) => execFileSync(POP, ["serve", "--data", "data", "--issue-token", spec], { cwd: closed.cwd, encoding: "utf8" }).trim();
    const [reader, admin] = [issue("reader=read"), issue("boss=admin")];
    const { page, faults, close } = await visit(closed, "#/");
    const field = page.getByLabel("Token");
    const button = page.getByRole("button", { name: "Sign in" });
    await button.click();
    await page.getByRole("alert").filter({ hasText: "Enter a token" }).waitFor();
    await field.fill("pop_wrong");
    await button.click();
    await page.getByRole("alert").filter({ hasText: "the token is unknown" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    assert.deepEqual(await violations(page), []);
    await field.fill(reader);
    await button.click();
    await page.getByRole("heading", { name: "Agendas", level: 1 }).waitFor();
    const pages = () => page.locator("header nav a").allInnerTexts();
    assert.deepEqual(await pages(), ["Agendas", "Queue", "Schedules", "Setup"]);
    // another tab of the browser is signed in, too; no cookie and no address has the token
    const second = await page.context().newPage();
    await second.goto(`${closed.address}/#/queue`);
    await second.getByRole("heading", { name: "Queue", level: 1 }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.ok(!page.url().includes(reader) && !(await page.content()).includes(reader));
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await second.getByRole("heading", { name: "Sign in" }).waitFor();
    await field.fill(admin);
    await button.click();
    await page.getByRole("link", { name: "Audit" }).click();
    await page.locator("tr", { hasText: "401" }).first().waitFor();
    assert.deepEqual(await pages(), ["Agendas", "Queue", "Submit", "Schedules", "Setup", "Audit"]);
    // the refusal of the wrong token is logged by the browser as an error
    assert.deepEqual(faults.filter((fault) => !fault.includes("401")), []);
    await close();
});

test("a page of another site can neither read nor change anything", async () => {
    // the same machine, another port: other sites are even further away
    const { address } = closed;
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${address}/healthz`);
    const before = (await call(open, "GET", "runs?limit=500")).body.items.length;
    const results = await page.evaluate(async (target) => {
        const body = JSON.stringify({ operations: [{ name: "a", type: "exec", payload: { shell: "true" } }] });
        const attempt = (init) => fetch(target, init).then((response) => response.type, () => "refused");
        const form = document.createElement("form");
        [form.method, form.action, form.enctype, form.target] = ["post", target, "text/plain", "_blank"];
        const field = document.createElement("input");
        [field.name, field.value] = [body.slice(0, -1), "}"];
        form.append(field);
        document.body.append(form);
        form.submit();
        return [
            await attempt({}),
            await attempt({ mode: "no-cors" }),
            await attempt({ method: "POST", body, headers: { "content-type": "application/json" } }),
            await attempt({ method: "POST", body, mode: "no-cors" }),
        ];
    }, `${open.address}/v1/agendas`);
    assert.deepEqual([results[0], results[2]], ["refused", "refused"]);
    assert.equal((await call(open, "GET", "runs?limit=500")).body.items.length, before);
    // what a browser says about a request of another site is refused, whatever the request has
    for (const headers of [{ origin: "http://evil.example" }, { "sec-fetch-site": "cross-site" }]) {
        const refused = await call(open, "POST", "agendas", { operations: [] }, headers);
        assert.equal(refused.status, 403, JSON.stringify(headers));
    }
    await context.close();
});

test("no rule of accessibility is broken, in light and dark, wide and narrow", { timeout: 180_000 }, async () => {
    const id = await submit("accessible", [exec("a", "true"), exec("b", "exit 1", { params: { dependsOn: "a" } })], { params: { maximumAttempts: 1 } });
    for (const colorScheme of ["light", "dark"]) {
        for (const width of [1400, 390]) {
            const { page, faults, close } = await visit(open, `#/agenda/${id}`, { colorScheme, viewport: { width, height: 900 } });
            await page.locator(".failure").waitFor();
            const check = async (what) => {
                assert.deepEqual(await violations(page), [], `${what} ${colorScheme} ${width}`);
                await fits(page, `${what} of ${width} pixels`);
            };
            await check("agenda");
            await page.getByRole("button", { name: "Retry…" }).click();
            await check("question");
            await page.keyboard.press("Escape");
            for (const [name, title] of [["", "Agendas"], ["queue", "Queue"], ["submit", "Submit an agenda"], ["submit?template=encode", "Submit an agenda"], ["schedules", "Schedules"], ["setup", "Setup"], ["audit", "Audit"]]) {
                await page.goto(`${open.address}/#/${name}`);
                await page.getByRole("heading", { name: title, level: 1 }).waitFor();
                await page.locator(".loading").first().waitFor({ state: "detached" });
                // the heading has the focus, so that the keyboard begins there
                assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1");
                await check(name);
            }
            assert.deepEqual(faults, []);
            await close();
        }
    }
});

test("the keyboard alone reaches and confirms a decision, and paper is light", { timeout: 60_000 }, async () => {
    const id = await submit("by keys", [exec("a", "true")]);
    const { page, faults, close } = await visit(open, `#/agenda/${id}`, { colorScheme: "dark" });
    await page.locator(".run-head .state", { hasText: "succeeded" }).waitFor();
    await page.getByRole("button", { name: "Rerun…" }).focus();
    await page.keyboard.press("Enter");
    const question = page.getByRole("dialog");
    await question.waitFor();
    // Escape leaves everything as it is, and the focus returns
    await page.keyboard.press("Escape");
    await question.waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Rerun…");
    await page.keyboard.press("Enter");
    await question.getByRole("button", { name: "Run it again" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("run 2 of this agenda").waitFor();
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator(".top nav").isVisible(), false);
    assert.equal(await page.locator(".actions").first().isVisible(), false);
    assert.deepEqual(faults, []);
    await close();
});

// What tests of both pages need: Chromium, and pages that fail a test if they err or ask for anything else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function launch() {
    return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** Faults of a page, as they come: errors of scripts, and requests that `isOwn` does not know. */
export function watch(page, isOwn) {
    const faults = [];
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith("data:") && !isOwn(url)) faults.push(url);
    });
    return faults;
}

/** Rules of accessibility that a page breaks. */
export async function violations(page) {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
    return page.evaluate(async () => {
        const { violations } = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] });
        return violations.map((one) => `${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`);
    });
}

/** Fails if the page is wider than its window. */
export async function fits(page, what) {
    const isCut = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    assert.equal(isCut, false, `${what} is too wide`);
}

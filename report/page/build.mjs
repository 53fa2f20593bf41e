// Builds the pages, each into one file that pop embeds: the report (report/src/format/page/page.html) and the pages of the
// agenda service (agenda-server/src/page/page.html). The content security policy of a page allows only its own script and
// style, by their hashes. The same sources and versions give the same bytes.
//
//   node build.mjs [FOLDER]     FOLDER gets report.html and service.html, instead of the places where pop embeds them
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = process.argv[2];
const PAGES = [
    { name: "report", source: "src", into: "../src/format/page/page.html" },
    { name: "service", source: "src/service", into: "../../agenda-server/src/page/page.html" },
];

async function bundle(entry) {
    const built = await build({
        absWorkingDir: path("."),
        entryPoints: [entry],
        bundle: true,
        minify: true,
        write: false,
        charset: "utf8",
        format: "iife",
        target: ["es2022", "chrome110", "firefox110", "safari16"],
        jsx: "automatic",
        jsxImportSource: "preact",
        legalComments: "none",
        logLevel: "warning",
    });
    const text = built.outputFiles[0].text.trim();
    if (/<\/(script|style)|<!--/i.test(text)) {
        throw new Error(`${entry}: the text would end its own element`);
    }
    return text;
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
for (const { name, source, into } of PAGES) {
    const [script, style] = await Promise.all([bundle(`${source}/main.tsx`), bundle(`${source}/style.css`)]);
    const shell = readFileSync(path(`${source}/shell.html`), "utf8");
    const parts = { scriptHash: hash(script), styleHash: hash(style), style, script };
    // a function, because a text with `$` is no pattern of a replacement
    const page = shell.replace(/\[\[(\w+)\]\]/g, (_, part) => parts[part]);
    if (folder) mkdirSync(folder, { recursive: true });
    writeFileSync(folder ? join(folder, `${name}.html`) : path(into), page);
}

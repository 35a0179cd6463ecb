// What every page must be: no console error, no violation of its policy, no serious finding of axe-core, valid HTML, and no
// horizontal scrolling at 360 px.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.PAGES_NODE}/`);
export const { chromium } = require("playwright-core");
const { HtmlValidate } = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const validator = new HtmlValidate({
  extends: ["html-validate:recommended"],
  rules: {
    // Ours are written without a line for each attribute, and an input has no role to say.
    "long-title": "off", "no-trailing-whitespace": "off", "void-style": "off", "no-inline-style": "error",
    "attribute-boolean-style": "off", "prefer-native-element": "error", "no-raw-characters": "off",
  },
});

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });

/** A page of a browser that collects what goes wrong in it. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => { if (message.type() === "error") wrong.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    if (!why.includes("ERR_ABORTED")) wrong.push(`request: ${request.url()} ${why}`);
  });
  return { context, page, wrong };
}

/** What axe-core finds that is serious. */
export async function accessibility(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `axe: ${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
}

/** What html-validate finds in the source of a page. */
export async function validity(source) {
  const report = await validator.validateString(source);
  return report.results.flatMap(({ messages }) => messages).filter(({ severity }) => severity === 2)
    .map(({ ruleId, message, line, column }) => `html: ${ruleId}: ${message} (${line}:${column})`);
}

/** What does not fit 360 px. */
export async function width(page) {
  await page.setViewportSize({ width: 360, height: 740 });
  const found = await page.evaluate(() => {
    const wide = document.documentElement.scrollWidth;
    if (wide <= 360) return [];
    const of = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > 361);
    return [`width: ${wide} px: ${of.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ")}`];
  });
  await page.setViewportSize({ width: 1280, height: 900 });
  return found;
}

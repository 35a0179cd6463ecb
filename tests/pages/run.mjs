// The pages in Debian's Chromium, on a real demo and a real master: main paths with and without JavaScript, and what every
// page must be. First that a bad page would be found.
//
//     PAGES_NODE=FOLDER SLAPLEDGER_BIN=... node tests/pages/run.mjs [--shots DIR]
//
// With --shots it makes the screenshots of docs/pages.md, and is done.

import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

import { accessibility, launch, open, validity, width } from "./checks.mjs";
import { onAudit, onPaper, onQuestions } from "./auditor.mjs";
import { onDemo, onMaster } from "./roles.mjs";
import { folder, run, start } from "./servers.mjs";

const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : null;
const counts = { passed: 0, failed: 0 };

async function test(name, body) {
  try {
    await body();
    counts.passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAILED ${name}: ${error.stack ?? error}`);
  }
}

const by = (page, id) => page.getByTestId(id);

/** Everything that every page must be. */
async function sound(page, wrong, path) {
  const response = await page.goto(path);
  const source = await response.text();
  // A browser says of a page that is a problem that it is one.
  const said = wrong.splice(0).filter((message) => response.ok() || !message.startsWith("console: Failed to load resource"));
  const found = [...said, ...await validity(source), ...await accessibility(page), ...await width(page)];
  await page.emulateMedia({ colorScheme: "dark" });
  found.push(...(await accessibility(page)).map((finding) => `dark: ${finding}`));
  await page.emulateMedia({ colorScheme: "light" });
  assert.deepEqual(found, [], path);
  assert.ok(gzipSync(source).length <= 15 * 1024 || path.includes("line="), `${path}: ${gzipSync(source).length} bytes compressed`);
}

const browser = await launch();

// A page with everything wrong that is looked for.
await test("a planted bad page is found", async () => {
  const bad = `<!DOCTYPE html><html lang="en"><head><title>bad</title></head><body><main><h1>bad</h1><img src="x">
    <input id="a" type="text"><p style="color:#eee;background:#fff;width:900px">pale</p><script>alert(1)</script></main></body></html>`;
  const server = createServer((request, response) => {
    response.writeHead(request.url === "/" ? 200 : 404, {
      "content-type": "text/html", "content-security-policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    });
    response.end(request.url === "/" ? bad : "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { context, page, wrong } = await open(browser);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const found = [...wrong, ...await validity(bad), ...await accessibility(page), ...await width(page)].join("\n");
  for (const finding of ["console:", "html: no-inline-style", "axe: label", "axe: image-alt", "width: "]) {
    assert.ok(found.includes(finding), `${finding} is not in:\n${found}`);
  }
  await context.close();
  server.close();
});

const demo = await start("demo", folder());
const at = (path) => `${demo.url}${path}`;

if (shots) {
  for (const [name, path, options] of [
    ["home", "/ui/home?month=2026-10", {}], ["line", "/v1/invoices/INV-2026-000015?line=2#line-2", {}],
    ["log", "/v1/events?type=InvoiceFinalised", {}], ["operation", "/ui/operation", {}],
    ["instance", "/v1/instance-trees/SOFTINST-10?month=2026-10", {}], ["catalogue", "/v1/catalogue", {}],
    ["line-phone", "/v1/invoices/INV-2026-000015?line=2#line-2", { viewport: { width: 360, height: 740 } }],
    ["home-dark", "/ui/home?month=2026-10", { colorScheme: "dark", locale: "fr-FR" }],
  ]) {
    const { context, page } = await open(browser, { viewport: { width: 1280, height: 900 }, ...options });
    await page.goto(at(path));
    let image;
    for (const quality of [60, 50, 40]) {
      image = await page.screenshot({ path: `${shots}/${name}.jpg`, type: "jpeg", quality });
      if (image.length < 100_000) break;
    }
    assert.ok(image.length < 100_000, `${name}: ${image.length} bytes`);
    await context.close();
  }
  await demo.stop();
  await browser.close();
  process.exit(0);
}

for (const path of ["/ui/home", "/v1/invoices", "/v1/invoices/INV-2026-000015", "/v1/invoices/INV-2026-000015?line=2",
  "/v1/invoices/INV-2026-000015?line=1", "/ui/usage", "/v1/invoices?state=draft", "/v1/instance-trees",
  "/v1/instance-trees/SOFTINST-10", "/v1/instance-trees/SOFTINST-10?ask=destroy", "/v1/computers", "/v1/computers/COMP-1",
  "/v1/events", "/v1/projections", "/v1/credentials", "/v1/invoice-runs", "/v1/invoice-runs/RUN-1", "/ui/revenue",
  "/ui/revenue?by=software", "/ui/usage?outcome=duplicate", "/v1/parties", "/v1/accounts", "/v1/trial-balance",
  "/v1/journal", "/v1/price-books", "/v1/catalogue", "/ui/request", "/v1/price-books/standard", "/ui/operation",
  "/v1/instance-trees?state=wrong", "/v1/instance-trees?q=erp", "/v1/instance-trees/SOFTINST-5?step=hour&day=2026-10-20",
  "/v1/instance-trees/SOFTINST-5?step=month", "/ui/nothing",
  "/v1/events?order=oldest", "/v1/events?sequence=105", "/v1/events?type=InvoiceFinalised&open=1", "/v1/computers?state=silent",
  "/v1/computers?state=error", "/v1/trial-balance?at=2026-10-01", "/v1/journal?from=2026-10-01&to=2026-11-01",
  "/v1/accounts/Income%3ARecurring?currency=EUR", "/ui/usage?reason=not_a_number&computer=COMP-1"]) {
  await test(`demo: ${path} is sound`, async () => {
    const { context, page, wrong } = await open(browser);
    await sound(page, wrong, at(path));
    await context.close();
  });
}

await onQuestions({ browser, test, at });
await onPaper({ browser, test, at });

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
  await test(`demo: from the address to the reason for a cent, ${how}`, async () => {
    const { context, page, wrong } = await open(browser, { javaScriptEnabled });
    await page.goto(at("/"));
    assert.match(page.url(), /\/ui\/home$/);
    await by(page, "finding-usage-suspended").waitFor();
    await page.getByRole("link", { name: "CompatibleOne" }).first().click();
    await page.getByRole("link", { name: "INV-2026-000015" }).click();
    assert.equal(await by(page, "invoice-total").innerText(), "29.88");
    await by(page, "line-explain").nth(1).click();
    await by(page, "line-explanation").waitFor();
    assert.match(page.url(), /line=2/);
    const text = await by(page, "line-explanation").innerText();
    for (const part of ["23,764.8", "0.00015", "3.56472", "85,553,280", "COMP-2", "10,909", "Identical"]) {
      assert.ok(text.includes(part), `${part} is not in ${text}`);
    }
    if (javaScriptEnabled) {
      await page.goBack();
      await by(page, "line-explanation").waitFor({ state: "detached" });
    }
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test(`demo: a suspended event is dismissed, ${how}`, async () => {
    const { context, page, wrong } = await open(browser, { javaScriptEnabled });
    await page.goto(at("/ui/usage?reason=not_a_number"));
    const before = Number(await by(page, "usage-filter-suspended").locator(".count").innerText());
    // Without a reason nothing is done, and the page says so.
    const reason = by(page, "usage-dismiss-reason");
    assert.match(await reason.inputValue(), /reported again/);
    await by(page, "usage-dismiss").click();
    await by(page, "page-done").waitFor();
    const after = Number(await by(page, "usage-filter-suspended").locator(".count").innerText());
    assert.equal(after, before - 1);
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

await test("demo: a wrong correction says what is wrong and keeps what was typed", async () => {
  const { context, page } = await open(browser);
  await page.goto(at("/ui/usage?reason=not_a_number"));
  await by(page, "usage-resolve-open").click();
  await by(page, "usage-resolve-quantity").fill("many");
  await by(page, "usage-resolve").click();
  await by(page, "page-problem").waitFor();
  assert.equal(await by(page, "usage-resolve-quantity").inputValue(), "many");
  assert.equal(await by(page, "usage-resolve-quantity").getAttribute("aria-invalid"), "true");
  await context.close();
});

await test("demo: an instance is requested, stopped, renamed and destroyed", async () => {
  const { context, page, wrong } = await open(browser);
  const name = "<b>new & odd</b>";
  await page.goto(at("/v1/instance-trees"));
  await by(page, "instance-request-software").fill("https://software.example.org/kvm/software.cfg");
  await by(page, "instance-request-name").fill(name);
  await by(page, "instance-request-parameters").fill("{not json");
  await by(page, "instance-request-submit").click();
  await by(page, "page-problem").waitFor();
  assert.equal(await by(page, "instance-request-name").inputValue(), name);
  wrong.splice(0); // The refusal itself: 400.
  await by(page, "instance-request-parameters").fill('{"size": "small"}');
  await by(page, "instance-request-submit").click();
  await by(page, "page-done").waitFor();
  await page.getByRole("link", { name }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), name);
  await by(page, "instance-stop").click();
  await by(page, "instance-start").waitFor();
  await by(page, "instance-rename").click();
  await by(page, "instance-rename-title").fill("renamed");
  await by(page, "instance-rename-confirm").click();
  await page.getByRole("heading", { level: 1, name: "renamed" }).waitFor();
  await by(page, "instance-destroy").click();
  await by(page, "instance-destroy-confirm").click();
  await by(page, "page-done").waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
});

let reported = 0;
/** Has COMP-1 report an hour of slappart0 before an instant; the name of the resource. */
async function report(id = `live-${reported += 1}`, before = Date.now()) {
  const stop = new Date(before - 60_000);
  const start = new Date(stop - 3_600_000);
  const data = { resource: `live/${id}`, quantity: "1.5", start: start.toISOString(), stop: stop.toISOString() };
  const event = { specversion: "1.0", type: "org.slapos.usage", source: "COMP-1", id, subject: "slappart0", data };
  const headers = { "content-type": "application/cloudevents+json" };
  const answer = await fetch(at("/v1/usage-events"), { method: "POST", headers, body: JSON.stringify(event) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return data.resource;
}

for (const path of ["/ui/usage", "/ui/home", "/v1/instance-trees/SOFTINST-1"]) {
  await test(`demo: a usage event appears on the open page ${path}`, async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at(path));
    await page.locator(".live:not(.live-off)").waitFor();
    const began = Date.now();
    const resource = await report();
    await page.locator("main").getByText(resource).first().waitFor();
    console.log(`   ${path} showed it after ${Date.now() - began} ms`);
    assert.deepEqual([...wrong, ...await accessibility(page)], []);
    await context.close();
  });
}

await test("demo: without JavaScript a usage event is there when the page is read again", async () => {
  const { context, page, wrong } = await open(browser, { javaScriptEnabled: false });
  await page.goto(at("/ui/usage"));
  assert.equal(await by(page, "page-live").isVisible(), false);
  const resource = await report();
  await page.reload();
  await page.getByText(resource).first().waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
});

await test("demo: what somebody types stays, and a button waits", async () => {
  const { context, page, wrong } = await open(browser);
  await page.goto(at("/ui/usage"));
  await page.locator(".live:not(.live-off)").waitFor();
  const reason = by(page, "usage-dismiss-reason");
  await reason.fill("I am typing");
  await page.evaluate(() => window.scrollTo(0, 0));
  const resource = await report();
  // What is not in use is brought up to date.
  await by(page, "receipt-table").getByText(resource).first().waitFor();
  assert.equal(await reason.inputValue(), "I am typing");
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  const next = await report();
  await by(page, "page-refresh").click();
  await by(page, "receipt-table").getByText(next).first().waitFor();
  assert.equal(await reason.inputValue(), "I am typing");
  assert.deepEqual(wrong, []);
  await context.close();
});

await test("demo: every outcome is counted and shown", async () => {
  const { context, page, wrong } = await open(browser);
  const now = Date.now();
  await report("outcome-1", now);
  await report("outcome-1", now);
  await page.goto(at("/ui/usage"));
  const count = async (id) => Number((await by(page, id).locator(".count").innerText()).replaceAll(",", ""));
  assert.ok(await count("receipt-filter-accepted") > 0);
  assert.ok(await count("receipt-filter-duplicate") > 0);
  await by(page, "receipt-filter-accepted").click();
  const outcomes = await by(page, "receipt-row").locator(".st").allInnerTexts();
  assert.deepEqual([...new Set(outcomes)], ["Accepted"]);
  assert.deepEqual(wrong, []);
  await context.close();
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
  await test(`demo: a run is opened, reviewed and withdrawn, ${how}`, async () => {
    const { context, page, wrong } = await open(browser, { javaScriptEnabled });
    await page.goto(at("/v1/invoice-runs"));
    await by(page, "run-open-period").fill("2026-11");
    await by(page, "run-open").click();
    await by(page, "page-done").waitFor();
    const run = (await by(page, "review-row").locator("th a").allInnerTexts()).at(-1);
    await page.goto(at(`/v1/invoice-runs/${run}`));
    const ranks = await by(page, "draft-row").count();
    assert.ok(ranks > 1, `${ranks} drafts`);
    const number = async (id) => Number(await by(page, id).first().innerText());
    const undecided = await number("run-undecided");
    // Two people look at the same draft.
    const other = await open(browser, { javaScriptEnabled });
    await by(page, "draft-decide").first().click();
    await by(page, "draft-reason-text").waitFor();
    const place = page.url();
    await other.page.goto(place);
    await by(page, "draft-reason-text").fill("looks <right> to me");
    await by(page, "draft-approve").click();
    await by(page, "page-done").waitFor();
    assert.equal(await number("run-approved"), 1);
    assert.equal(await number("run-undecided"), undecided - 1);
    assert.match(await by(page, "draft-reason").first().innerText(), /looks <right> to me/);
    await by(other.page, "draft-reason-text").fill("not so fast");
    await by(other.page, "draft-hold").click();
    await by(other.page, "page-problem").waitFor();
    assert.match(await by(other.page, "page-problem").innerText(), /changed|seen|read it again/i);
    assert.equal(await by(other.page, "draft-reason-text").inputValue(), "not so fast");
    await other.context.close();
    await by(page, "draft-decide").nth(1).click();
    await by(page, "draft-reason-text").fill("a price is being discussed");
    await by(page, "draft-hold").click();
    await by(page, "page-done").waitFor();
    assert.equal(await number("run-held"), 1);
    await by(page, "run-withdraw").click();
    await by(page, "run-withdraw-confirm").click();
    await by(page, "page-done").waitFor();
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

await test("demo: French, dark, by keyboard", async () => {
  const { context, page, wrong } = await open(browser);
  await page.goto(at("/v1/invoices"));
  await by(page, "language-french").click();
  await page.getByRole("heading", { level: 1, name: "Factures" }).waitFor();
  await page.getByText("Sombre").click();
  await by(page, "theme-keep").click();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/INV-2026/);
  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await page.waitForURL(/\/ui\/home/);
  assert.deepEqual(wrong, []);
  await context.close();
});

await onAudit({ browser, test, at, report });
await onDemo({ browser, test, at });

await demo.stop();

// A master: sign-in, a role that may not, and the end of a credential.
const data = folder();
run("init", "--data", data);
const issue = (...options) => run("token", "issue", "--data", data, ...options).match(/slap_\S+/)[0];
const admin = issue("--holder", "alice", "--role", "admin", "--all-projects");
const auditor = issue("--holder", "bob", "--role", "auditor");
const master = await start("serve", data, ["--plain-http"]);
const there = (path) => `${master.url}${path}`;

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
  await test(`serve: sign in, read, sign out, ${how}`, async () => {
    const { context, page, wrong } = await open(browser, { javaScriptEnabled });
    await page.goto(there("/v1/invoices"));
    assert.match(page.url(), /\/ui\/sign-in\?next=%2Fv1%2Finvoices/);
    await by(page, "signin-token").fill("nonsense");
    await by(page, "signin-submit").click();
    await by(page, "signin-error").waitFor();
    wrong.splice(0); // The refusal itself: 401.
    await by(page, "signin-token").fill(admin);
    await by(page, "signin-submit").click();
    await page.getByRole("heading", { level: 1, name: "Invoices" }).waitFor();
    assert.match(page.url(), /\/v1\/invoices$/);
    const cookies = await context.cookies();
    const session = cookies.find(({ name }) => name === "slapledger-session");
    assert.ok(session.httpOnly && session.sameSite === "Strict" && !session.value.includes(admin));
    await by(page, "signout-submit").click();
    await by(page, "signin-token").waitFor();
    await page.goto(there("/v1/invoices"));
    await by(page, "signin-token").waitFor();
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

await test("serve: a revoked token ends its session", async () => {
  const { context, page } = await open(browser);
  await page.goto(there("/ui/sign-in"));
  await by(page, "signin-token").fill(auditor);
  await by(page, "signin-submit").click();
  await page.getByRole("heading", { level: 1 }).waitFor();
  const headers = { authorization: `Bearer ${admin}`, accept: "application/json" };
  const listed = await (await fetch(there("/v1/credentials"), { headers })).json();
  const id = listed.items.find(({ holder }) => JSON.stringify(holder).includes("bob")).id;
  const revoked = await fetch(there(`/v1/credentials/${id}/revoke`), { method: "POST", headers });
  assert.equal(revoked.status, 200);
  await page.goto(there("/v1/invoices"));
  await by(page, "signin-error").waitFor();
  assert.match(await by(page, "signin-error").innerText(), /revoked/);
  await context.close();
});

await test("serve: an open page is live until the session ends", async () => {
  const { context, page } = await open(browser);
  const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
  const body = JSON.stringify({ holder: "dora", roles: ["admin"] });
  const { token } = await (await fetch(there("/v1/tokens"), { method: "POST", headers, body })).json();
  await page.goto(there("/ui/usage"));
  await by(page, "signin-token").fill(token);
  await by(page, "signin-submit").click();
  await page.locator(".live:not(.live-off)").waitFor();
  const second = await context.newPage();
  await second.goto(there("/ui/home"));
  await by(second, "signout-submit").click();
  await page.locator(".live-off").waitFor();
  await context.close();
});

await test("serve: the sign-in is sound", async () => {
  const { context, page, wrong } = await open(browser);
  await sound(page, wrong, there("/ui/sign-in"));
  await context.close();
});

await onMaster({ browser, test, there, admin });
await master.stop();
await browser.close();
console.log(`COUNT ${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
process.exit(counts.failed ? 1 : 0);

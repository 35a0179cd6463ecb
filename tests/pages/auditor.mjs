// What an auditor and an admin do: the log, the books, and how the server is. On the demo and on a master.

import { strict as assert } from "node:assert";

import { open } from "./checks.mjs";

const by = (page, id) => page.getByTestId(id);
const number = async (locator) => Number((await locator.innerText()).replaceAll(",", ""));

/** What a local user does in the demo; `report` has a computer report usage. */
export async function onAudit({ browser, test, at, report }) {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    await test(`demo: the log is filtered, unfolded and linked to, ${how}`, async () => {
      const { context, page, wrong } = await open(browser, { javaScriptEnabled });
      await page.goto(at("/ui/home"));
      await by(page, "nav-log").click();
      const head = await number(by(page, "log-head"));
      assert.equal(await number(by(page, "log-open").first()), head, "the newest comes first");
      assert.match(await by(page, "log-root").innerText(), /^[0-9a-f]{8}$/);
      // By type; the newest of them is unfolded, and leads to its document.
      await by(page, "log-filter-type").selectOption("InvoiceFinalised");
      await by(page, "log-filter-apply").click();
      await page.waitForURL(/type=InvoiceFinalised/);
      const types = await by(page, "log-row").locator("td:nth-child(3) a").allInnerTexts();
      assert.deepEqual([...new Set(types)], ["InvoiceFinalised"]);
      const sequence = await number(by(page, "log-open").first());
      await by(page, "log-open").first().click();
      await by(page, "log-event").waitFor();
      assert.match(await by(page, "log-event").innerText(), new RegExp(`"sequence": ${sequence},`));
      assert.ok(await by(page, "log-named").getByRole("link").count() > 0, "it names what it rests on");
      await by(page, "log-link").click();
      await page.waitForURL(new RegExp(`sequence=${sequence}$`));
      assert.equal(await number(by(page, "log-open").first()), sequence);
      await by(page, "log-event").waitFor();
      await by(page, "log-place").click();
      await page.getByRole("heading", { level: 1, name: /^INV-/ }).waitFor();
      // Back from the document to its event.
      await by(page, "invoice-event").click();
      await page.waitForURL(new RegExp(`sequence=${sequence}$`));
      // By stream, actor and time.
      await by(page, "log-filter-clear").click();
      await by(page, "log-filter-stream").fill("usage/COMP-2");
      await by(page, "log-filter-from").fill("2026-10-10");
      await by(page, "log-filter-to").fill("2026-10-11");
      await by(page, "log-filter-apply").click();
      await page.waitForURL(/stream=usage/);
      const times = await by(page, "log-row").locator("time").evaluateAll((all) => all.map((time) => time.dateTime.slice(0, 10)));
      assert.ok(times.length > 0 && times.every((day) => day >= "2026-10-09" && day <= "2026-10-11"), String(times));
      await by(page, "page-next").click();
      assert.ok(await by(page, "log-row").count() > 0);
      await by(page, "log-filter-clear").click();
      await by(page, "log-sequence").fill("1");
      await by(page, "log-seek").click();
      assert.equal(await number(by(page, "log-open").first()), 1);
      await by(page, "log-filter-from").fill("soon");
      await by(page, "log-filter-apply").click();
      await by(page, "page-problem").waitFor();
      assert.ok(wrong.splice(0).every((message) => message.includes("400")), "400");
      await context.close();
    });
  }

  await test("demo: the log is live, and its filters are too", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/v1/events?type=UsageRecorded&stream=usage/COMP-1"));
    await page.locator(".live:not(.live-off)").waitFor();
    const before = await number(by(page, "log-open").first());
    await report();
    await page.waitForFunction((known) => {
      const first = document.querySelector("[data-testid=log-open]")?.textContent.replaceAll(",", "");
      return Number(first) > known;
    }, before);
    // What is past changes no more.
    await page.goto(at("/v1/events?order=oldest"));
    assert.equal(await by(page, "page-live").count(), 0);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: from the trial balance to an account and its documents", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/ui/home"));
    await by(page, "nav-balance").click();
    assert.equal(await by(page, "balance-debits").first().innerText(), await by(page, "balance-credits").first().innerText());
    assert.match(await by(page, "balance-check").first().innerText(), /Balanced/);
    const row = by(page, "balance-row").filter({ hasText: "Assets:Receivable:" }).first();
    const amount = await row.locator("td").nth(1).innerText();
    await row.getByRole("link").first().click();
    assert.equal(await by(page, "statement-closing").innerText(), amount);
    await by(page, "statement-row").first().getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: /^INV-/ }).waitFor();
    await page.goto(at("/v1/trial-balance"));
    await by(page, "balance-at").fill("2026-10-01");
    await by(page, "balance-apply").click();
    await by(page, "balance-moment").getByText("2026").waitFor();
    await by(page, "nav-journal").click();
    const all = await by(page, "journal-row").count();
    await by(page, "journal-from").fill("2026-11-01");
    await by(page, "journal-to").fill("2026-12-01");
    await by(page, "journal-apply").click();
    await page.waitForURL(/from=2026-11-01/);
    const some = await by(page, "journal-row").count();
    assert.ok(some > 0 && some < all, `${some} of ${all}`);
    const download = page.waitForEvent("download");
    await by(page, "journal-export-hledger").click();
    assert.match((await download).suggestedFilename(), /journal/);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: faults, queue, disk, snapshots, and a rebuild that is compared", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/ui/operation"));
    const text = await page.locator("main").innerText();
    assert.ok(text.indexOf("Faults") < text.indexOf("Queue"), "faults come first");
    assert.equal(await number(by(page, "queue-length")), 0);
    assert.match(await by(page, "disk-free").innerText(), /[KMGT]iB/);
    assert.ok(await by(page, "view-row").count() >= 3);
    await by(page, "view-rebuild-slap").click();
    await by(page, "rebuilt-table").waitFor();
    const compared = await by(page, "rebuilt-row").locator(".st").allInnerTexts();
    assert.deepEqual([...new Set(compared)], ["Identical"]);
    await by(page, "rebuilt-back").click();
    await by(page, "view-table").waitFor();
    assert.match(await by(page, "generation-state-slap").innerText(), /Previous generation/);
    await by(page, "generation-swap-back-slap").click();
    await by(page, "generation-state-slap").waitFor({ state: "detached" });
    await by(page, "view-rebuild-slap").click();
    await by(page, "rebuilt-back").click();
    await by(page, "generation-confirm-slap").click();
    await by(page, "generation-state-slap").waitFor({ state: "detached" });
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: computers are filtered, and errors stand on their timeline", async () => {
    const { context, page, wrong } = await open(browser);
    const headers = { "content-type": "application/json", accept: "application/json" };
    const known = await (await fetch(at("/v1/computers/COMP-1"), { headers })).json();
    const report = async (state, error) => {
      const body = JSON.stringify({ software_release: known.software[0].software_release, state, ...(error && { error }) });
      const answer = await fetch(at("/v1/computers/COMP-1/software-reports"), { method: "POST", headers, body });
      assert.equal(answer.status, 200, await answer.clone().text());
    };
    await page.goto(at("/v1/computers"));
    const all = await number(by(page, "computer-filter-all").locator(".count"));
    assert.equal(await by(page, "computer-row").count(), all);
    assert.equal(await number(by(page, "computer-filter-error").locator(".count")), 0);
    await report("error", "the disk is broken");
    await page.goto(at("/ui/home"));
    await by(page, "finding-computer-error").getByRole("link").click();
    assert.equal(await by(page, "computer-row").count(), 1);
    assert.match(await by(page, "computer-row").first().innerText(), /Error/);
    await by(page, "computer-row").first().getByRole("link").click();
    assert.equal(await by(page, "error-table").locator("tbody tr").count(), 1);
    await report("available");
    await page.reload();
    assert.doesNotMatch(await by(page, "error-table").innerText(), /Error\b(?! from)/);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: a problem is told in French", async () => {
    const { context, page } = await open(browser, { locale: "fr-FR" });
    await page.goto(at("/v1/invoices/INV-9"));
    assert.match(await by(page, "page-problem").innerText(), /ne nomme aucun document définitif[\s\S]*Corrigez le numéro/);
    await page.goto(at("/v1/events?from=bient%C3%B4t"));
    assert.match(await by(page, "page-problem").innerText(), /doit être un jour tel que 2026-10-01/);
    await context.close();
  });
}

/** What is on paper. */
export async function onPaper({ browser, test, at }) {
  await test("demo: an invoice is one page of paper, without controls", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/v1/invoices/INV-2026-000015"));
    await page.emulateMedia({ media: "print" });
    for (const gone of [".rail", ".skip", ".crumbs", ".live"]) {
      assert.equal(await page.locator(gone).filter({ visible: true }).count(), 0, `${gone} is printed`);
    }
    assert.equal(await page.locator("main a.btn, main button").filter({ visible: true }).count(), 0, "no buttons");
    for (const id of ["invoice-total", "invoice-line-table", "page-sequence"]) {
      assert.equal(await by(page, id).filter({ visible: true }).count(), 1, id);
    }
    // As wide as the paper: every column of a line is there.
    await page.setViewportSize({ width: 680, height: 960 });
    const columns = await by(page, "invoice-line-table").locator("thead th").evaluateAll((all) => all.map((th) => [th.textContent, th.getBoundingClientRect().width]));
    assert.ok(columns.every(([, width]) => width > 20), JSON.stringify(columns));
    const pdf = await page.pdf({ preferCSSPageSize: true });
    const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g) ?? [];
    assert.equal(pages.length, 1, `${pages.length} pages, ${pdf.length} bytes`);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: paper is light for a reader of the dark", async () => {
    const { context, page } = await open(browser, { colorScheme: "dark" });
    await page.goto(at("/v1/invoices/INV-2026-000015"));
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const [ink, paper] = await page.evaluate(() => {
      const { color, backgroundColor } = getComputedStyle(document.body);
      const light = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number).reduce((sum, part) => sum + part, 0) / 765;
      return [light(color), backgroundColor === "rgba(0, 0, 0, 0)" ? 1 : light(backgroundColor)];
    });
    assert.ok(ink < 0.4 && paper > 0.9, `ink ${ink}, paper ${paper}`);
    await context.close();
  });
}

/** The three questions of a new user, answered from the start page with clicks alone. */
export async function onQuestions({ browser, test, at }) {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    const start = async () => {
      const opened = await open(browser, { javaScriptEnabled });
      await opened.page.goto(at("/"));
      // The months of the demo are past when it is looked at later: one click leads there.
      const invoiced = by(opened.page, "month-invoiced");
      if (await invoiced.count()) await invoiced.click();
      await opened.page.getByRole("heading", { level: 1, name: "October 2026" }).waitFor();
      return opened;
    };

    await test(`questions: why the invoice of CompatibleOne is 29.88, ${how}`, async () => {
      const { context, page, wrong } = await start();
      await by(page, "customer-row").filter({ hasText: "CompatibleOne" }).getByRole("link").nth(1).click();
      assert.equal(await by(page, "invoice-total").innerText(), "29.88");
      // What it is made of, and one line down to its formula and its events.
      const parts = await by(page, "invoice-parts").locator("tbody tr td:nth-child(2)").allInnerTexts();
      const sum = parts.reduce((all, part) => all + Math.round(Number(part) * 100), 0);
      assert.equal(sum, 2988, String(parts));
      await by(page, "line-explain").nth(1).click();
      const text = await by(page, "line-explanation").innerText();
      for (const part of ["23,764.8", "0.00015", "3.56472"]) assert.ok(text.includes(part), `${part} is not in ${text}`);
      assert.deepEqual(wrong, []);
      await context.close();
    });

    await test(`questions: which usage is suspended, and why, ${how}`, async () => {
      const { context, page, wrong } = await start();
      await by(page, "finding-usage-suspended").getByRole("link").click();
      const rows = await by(page, "usage-row").allInnerTexts();
      const count = Number(await by(page, "usage-filter-suspended").locator(".count").innerText());
      assert.equal(rows.length, count);
      assert.ok(rows.every((row) => /not a number|unknown partition|in the future/.test(row)), rows.join("\n"));
      assert.match(await by(page, "usage-suspended").innerText(), /not charged/);
      assert.deepEqual(wrong, []);
      await context.close();
    });

    await test(`questions: which customer grew most, ${how}`, async () => {
      const { context, page, wrong } = await start();
      const rows = by(page, "customer-row");
      assert.match(await rows.first().innerText(), /CompatibleOne[\s\S]*\+21\.67/);
      const changes = await rows.locator("td:nth-child(4)").allInnerTexts();
      const values = changes.map((change) => Number(change.replace("−", "-").replaceAll(",", "")));
      assert.deepEqual(values, [...values].sort((a, b) => b - a), "sorted by growth");
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }
}

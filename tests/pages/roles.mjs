// The main path of each role: a customer, a provider with its prices, an auditor and an admin. On the demo and on a master.

import { strict as assert } from "node:assert";

import { open } from "./checks.mjs";

const by = (page, id) => page.getByTestId(id);

const BOOK = `name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"

[[rates]]
kind = "recurring"
every = "month"
when = "arrears"
price = "PRICE"
`;

/** What a local user does in the demo. */
export async function onDemo({ browser, test, at }) {
  await test("demo: the catalogue shows what the log shows", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/ui/home"));
    await by(page, "nav-catalogue").click();
    await page.getByRole("heading", { level: 1, name: "Catalogue" }).waitFor();
    for (const [table, count] of [["storage", 29], ["platform", 19], ["host", 29], ["story", 18]]) {
      assert.equal(await by(page, `catalogue-tab-${table}`).locator(".count").innerText(), String(count));
    }
    const kumofs = page.locator("tr", { has: page.locator("#storage-kumofs") });
    assert.match(await kumofs.innerText(), /in production/);
    const mysql = page.locator("tr", { has: page.locator("#storage-mysql") });
    assert.match(await mysql.innerText(), /none/);
    const stories = by(page, "catalogue-story-row");
    assert.equal(await stories.count(), 18);
    assert.match(await stories.filter({ hasText: "CompatibleOne" }).first().innerText(), /Started/);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    await test(`demo: who grew most, and what an instance used, ${how}`, async () => {
      const { context, page, wrong } = await open(browser, { javaScriptEnabled });
      await page.goto(at("/ui/home?month=2026-10"));
      // The customers are sorted by growth: the first one grew most.
      assert.match(await by(page, "customer-row").first().innerText(), /CompatibleOne/);
      assert.match(await by(page, "customer-row").first().innerText(), /\+21\.67/);
      await page.goto(at("/v1/instance-trees?q=ERP"));
      await page.getByRole("link", { name: "ERP / CRM" }).first().click();
      await by(page, "usage-by-hour").click();
      await by(page, "usage-previous").waitFor();
      await by(page, "usage-by-month").click();
      await by(page, "usage-chart").first().waitFor();
      assert.equal(new URL(page.url()).searchParams.get("step"), "month");
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    await test(`demo: a request by a form that is made of a schema, ${how}`, async () => {
      const release = "https://software.example.org/kvm/software.cfg";
      const schema = { serialisation: "json-in-xml", "software-type": { default: { request: {
        title: "A machine", required: ["size"], properties: {
          size: { type: "string", title: "Size <b>", enum: ["small", "large"], default: "small" },
          disks: { type: "integer", title: "Disks", minimum: 1, maximum: 8, description: "How many there are" },
          backup: { type: "boolean" }, rules: { type: "array" },
        },
      } } } };
      const supplied = await fetch(at("/v1/software-schemas"), { method: "PUT", body: JSON.stringify({ software_release: release, schema }),
        headers: { "content-type": "application/json", accept: "application/json" } });
      assert.equal(supplied.status, 200, await supplied.text());
      const { context, page, wrong } = await open(browser, { javaScriptEnabled });
      await page.goto(at("/ui/request"));
      await by(page, "request-release").fill(release);
      await by(page, "request-choose").click();
      await by(page, "request-name").fill(`by form ${how}`);
      await by(page, "request-field-size").selectOption("large");
      await by(page, "request-field-disks").fill("2");
      await by(page, "request-field-rules").fill("[1, 2]");
      await by(page, "request-submit").click();
      await by(page, "page-done").waitFor();
      const listed = await (await fetch(at(`/v1/instances?title=${encodeURIComponent(`by form ${how}`)}`), { headers: { accept: "application/json" } })).json();
      const known = await (await fetch(at(`/v1/instances/${listed.items[0].id}`), { headers: { accept: "application/json" } })).json();
      assert.deepEqual(JSON.parse(known.parameters._), { size: "large", disks: 2, rules: [1, 2] });
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }

  await test("demo: a tree shows what its root requested", async () => {
    const { context, page } = await open(browser);
    await page.goto(at("/v1/instance-trees/SOFTINST-5"));
    await page.getByRole("link", { name: "mariadb" }).waitFor();
    await page.getByRole("link", { name: "memcached" }).waitFor();
    await context.close();
  });

  await test("demo: filters look at all, and the counts say so", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/v1/instance-trees"));
    const count = async (state) => Number(await by(page, `instance-filter-${state}`).locator(".count").innerText());
    const [started, ended] = [await count("started"), await count("ended")];
    await by(page, "instance-filter-ended").click();
    await page.waitForURL(/state=ended/);
    assert.equal(await by(page, "instance-row").count(), ended);
    assert.ok(started > ended && ended >= 2);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: a price book is previewed, and published with consent alone", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/v1/price-books"));
    await by(page, "price-text").fill(BOOK.replace("PRICE", "11.00"));
    await by(page, "price-preview").click();
    await by(page, "price-change-table").waitFor();
    await by(page, "price-touched-table").waitFor();
    await by(page, "price-publish").click();
    await by(page, "page-problem").waitFor();
    assert.ok(wrong.splice(0).length > 0, "a refusal is 409");
    await page.goto(at("/v1/price-books"));
    await by(page, "price-text").fill("name = ");
    await by(page, "price-preview").click();
    await by(page, "page-problem").waitFor();
    wrong.splice(0); // 400.
    await by(page, "price-text").fill(BOOK.replace("PRICE", "11.00"));
    await by(page, "price-preview").click();
    await by(page, "price-retroactive").check();
    await by(page, "price-publish").click();
    await by(page, "page-done").waitFor();
    await by(page, "price-book").first().click();
    await page.getByText("Version 2", { exact: true }).first().waitFor();
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("demo: other prices are tried on a month that is past", async () => {
    const { context, page, wrong } = await open(browser);
    await page.goto(at("/v1/price-books"));
    await by(page, "whatif-period").fill("2026-10");
    await by(page, "whatif-text").fill(BOOK.replace("PRICE", "1.00"));
    await by(page, "whatif-submit").click();
    await by(page, "whatif-difference").waitFor();
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

/** What users of a master do who sign in. */
export async function onMaster({ browser, test, there, admin }) {
  const ask = async (method, path, body, type = "application/json") => {
    const headers = { authorization: `Bearer ${admin}`, accept: "application/json", "content-type": type };
    const sent = type === "application/json" ? JSON.stringify(body) : body;
    const response = await fetch(there(path), { method, headers, body: sent });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.text()}`);
    return response.json();
  };
  const signIn = async (page, token, next = "/ui/home") => {
    await page.goto(there(`/ui/sign-in?next=${encodeURIComponent(next)}`));
    await by(page, "signin-token").fill(token);
    await by(page, "signin-submit").click();
    await page.getByRole("heading", { level: 1 }).waitFor();
  };

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    await test(`serve: a token is issued, shown once, used and revoked, ${how}`, async () => {
      const { context, page, wrong } = await open(browser, { javaScriptEnabled });
      await signIn(page, admin, "/v1/credentials");
      await by(page, "token-holder").fill("carol");
      await by(page, "token-role-auditor").check();
      await by(page, "token-issue").click();
      const secret = await by(page, "token-secret").innerText();
      assert.match(secret, /^slap_/);
      await page.goto(there("/v1/credentials"));
      assert.ok(!(await page.content()).includes(secret));
      assert.deepEqual(wrong, []);
      const other = await open(browser);
      await signIn(other.page, secret, "/v1/events");
      assert.equal(await by(other.page, "token-issue").count(), 0);
      const listed = await ask("GET", "/v1/credentials", undefined);
      const known = listed.items.find((item) => item.holder === "carol" && item.state === "active");
      await page.goto(there(`/v1/credentials/${known.id}`));
      await by(page, "credential-revoke").click();
      await by(page, "page-done").waitFor();
      await other.page.goto(there("/v1/events"));
      await by(other.page, "signin-error").waitFor();
      await other.context.close();
      await context.close();
    });
  }

  const customer = await ask("POST", "/v1/parties", { name: "Ada & <Co>" });
  await ask("POST", "/v1/price-books", BOOK.replace("PRICE", "10.00"), "application/toml");
  const { token } = await ask("POST", "/v1/tokens", { holder: customer.id, roles: ["customer"] });

  await test("serve: a customer requests, and sees its own draft and nobody else", async () => {
    const { context, page, wrong } = await open(browser);
    await signIn(page, token, "/v1/instance-trees");
    assert.equal(await by(page, "nav-computers").count(), 0);
    assert.equal(await by(page, "nav-operation-page").count(), 0);
    await by(page, "instance-request-software").fill("https://software.example.org/kvm/software.cfg");
    await by(page, "instance-request-name").fill("shop");
    await by(page, "instance-request-submit").click();
    await by(page, "page-done").waitFor();
    // There is no computer yet: it waits, and that is what is wrong.
    assert.equal(await by(page, "instance-filter-wrong").locator(".count").innerText(), "1");
    await by(page, "nav-home").click();
    await by(page, "own-instance-table").getByRole("link", { name: "shop" }).waitFor();
    assert.ok(!(await page.content()).includes("PARTY-1"));
    assert.deepEqual(wrong, []);
    await context.close();
  });

  await test("serve: two people change an instance, and the second one is told", async () => {
    const [one, two] = [await open(browser), await open(browser)];
    for (const { page } of [one, two]) {
      await signIn(page, token, "/v1/instance-trees");
      await page.getByRole("link", { name: "shop" }).click();
      await by(page, "instance-stop").waitFor();
    }
    await by(one.page, "instance-stop").click();
    await by(one.page, "page-done").waitFor();
    await by(two.page, "instance-stop").click();
    await by(two.page, "page-problem").waitFor();
    await by(two.page, "instance-start").waitFor();
    await one.context.close();
    await two.context.close();
  });
}

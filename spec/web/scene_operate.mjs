// What the operator needs: state, held deletions, plan, queries, alerts, scripts, quarantine, trash.
const HEAVY = Array(40).fill("quantile_over_time(0.9, vector(1)[1h:1s])").join(" + ");

export default async function play({ page, context, origin, saw, part, examine }) {
  const cells = (title, n) => part(title).locator(`td:nth-child(${n})`).allTextContents();
  const facts = async (title) => Object.fromEntries(await part(title).locator(".facts > div")
    .evaluateAll((list) => list.map((one) => [...one.children].map((child) => child.textContent))));

  await page.goto(`${origin}/?view=operate`);
  await part("Status").locator(".facts").waitFor();
  saw.status = await facts("Status");
  await part("Scripts").locator("table").waitFor();
  saw.scripts = await part("Scripts").locator("tbody tr").evaluateAll((list) =>
    list.map((row) => [...row.children].map((cell) => cell.textContent)));
  saw.loaded = await part("Scripts").locator(".loaded").textContent();
  await part("Alerts").locator("table").waitFor();
  saw.alerts = await cells("Alerts", 1);
  await part("Quarantine").locator("table").waitFor();
  saw.quarantine = await part("Quarantine").locator("td").allTextContents();

  // The plan, while the clock is doubted; and the word that it is right.
  saw.held = await part("Retention").locator(".message.warning").textContent();
  await page.getByRole("button", { name: "Plan the next pass" }).click();
  await page.waitForSelector(".plan table");
  saw.plan = await part("Retention").locator(".plan > .scroll tbody tr").evaluateAll((list) =>
    list.map((row) => [...row.children].map((cell) => cell.textContent)));
  saw.bars = await page.locator(".bar-row").evaluateAll((list) => list.map((row) => {
    const bar = row.querySelector(".bar");
    return { name: row.querySelector(".bar-name").textContent, bytes: Number(bar.dataset.bytes),
      part: bar.getBoundingClientRect().width / bar.parentNode.getBoundingClientRect().width };
  }));
  saw.summary = await facts("Retention");
  await page.getByText("Series that lose most").click();
  saw.examples = await page.locator(".plan details code").allTextContents();
  await examine();
  await page.getByRole("button", { name: "The clock is right" }).click();
  await page.waitForFunction(() => !document.body.textContent.includes("The clock is right"));

  // Kill, undelete, reload.
  saw.trash = await part("Trash").locator("tbody td").allTextContents();
  await page.getByRole("button", { name: "Undelete" }).click();
  await page.waitForSelector("text=the trash is empty");
  await page.evaluate((text) => {
    const body = new URLSearchParams({ query: text, start: 1000000000, end: 1000010000, step: 1 });
    window.heavy = fetch("api/v1/query_range", { method: "POST", body })
      .then((answer) => answer.text());
  }, HEAVY);
  await page.getByRole("link", { name: "Explore" }).click();
  await page.getByRole("link", { name: "Operate" }).click();
  await page.getByRole("button", { name: "Kill" }).click();
  saw.killed = await page.evaluate(() => window.heavy);
  await part("Scripts").getByRole("button", { name: "Reload" }).click();
  await page.waitForFunction(() => document.body.textContent.includes("version 2"));
  saw.error_count = await page.locator(".message.error").count();

  // The pass that would drop too much is held, until somebody lets it go.
  const maintain = async () => {
    await page.goto(`${origin}/?view=console`);
    await page.getByLabel("a line of Lua").fill("tide.server.maintain()");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() =>
      document.querySelector(".console button.primary")?.disabled === false);
    await page.goto(`${origin}/?view=operate`);
  };
  await maintain();
  saw.held_pass = await part("Retention").locator(".message.warning").textContent();
  await page.getByRole("button", { name: "Let it drop that" }).click();
  await part("Retention").locator(".message.warning").waitFor({ state: "detached" });
  await maintain();
  await part("Trash").locator("table").waitFor();
  saw.dropped = await part("Trash").locator("tbody td").allTextContents();

  // A page of another origin may do nothing of this.
  const evil = "http://127.0.0.1:81/";
  await context.route(`${evil}**`, (route) => route.fulfill({ contentType: "text/html", body: "" }));
  const other = await context.newPage();
  await other.goto(evil);
  saw.forged = [];
  for (const path of ["/-/reload", "/api/v1/admin/tsdb/delete_series?match[]=spec_load",
    "/api/v1/admin/tsdb/confirm", "/api/v1/admin/queries/kill?id=1"]) {
    const answer = other.waitForResponse((response) => response.url() === origin + path);
    await other.evaluate((url) => fetch(url, { method: "POST", mode: "no-cors" }).catch(() => 0),
      origin + path);
    saw.forged.push((await answer).status());
  }
  saw.framed = await other.evaluate((url) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = () => {
      try {
        resolve(frame.contentWindow.location.href);
      } catch {
        resolve("refused");
      }
    };
    frame.src = url;
    document.body.append(frame);
  }), `${origin}/`);
  saw.frame_text = await other.frames()[1]?.evaluate(() => document.body.textContent).catch(() => "");
  await other.close();
}

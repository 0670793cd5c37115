// Drives a real browser over the page for browser_spec.lua; prints one line of JSON: what it saw.
// Arguments: the server's address, Chromium, a new folder for its profile, [a folder for pictures].
import { createRequire } from "node:module";

const [address, program, profile, pictures] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/web/package.json`)("playwright-core");
const origin = `http://${address}`;
const saw = { errors: [], foreign: [] };

const browser = await chromium.launchPersistentContext(profile, {
  executablePath: program,
  headless: true,
  timezoneId: "Asia/Tokyo",
  viewport: { width: 1200, height: 820 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] ?? await browser.newPage();
page.setDefaultTimeout(15000);
page.on("pageerror", (error) => saw.errors.push(String(error)));
page.on("console", (line) => {
  if (line.type() === "error") saw.errors.push(line.text());
});
page.on("request", (request) => {
  if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) {
    saw.foreign.push(request.url());
  }
});

const link = (parameters) => `${origin}/graph?${new URLSearchParams(parameters)}`;
const picture = async (name) => {
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png` });
};
// The lines of the chart: [[time, value], ...] of each.
const points = async () => {
  const handle = await page.waitForFunction(() => {
    const plot = document.querySelector('#result[aria-busy="false"] .plot')?.plot;
    if (!plot) return null;
    const [times, ...columns] = plot.data;
    return columns.map((column) => times.map((time, i) => [time, column[i]])
      .filter(([, value]) => value !== null));
  });
  return handle.jsonValue();
};
const legend = () => page.locator(".legend-name").allTextContents();
const axis = () => page.evaluate(() => {
  const { min, max } = document.querySelector(".plot").plot.scales.x;
  return [min, max];
});
const TIMES = { "g0.range_input": "10m", "g0.end_input": "1000000600", "g0.step_input": "60s" };

// Typed into an empty page, with a completion of the metric's name.
await page.goto(`${origin}/`);
await page.locator(".cm-content").click();
await page.keyboard.type("spec_temper");
await page.waitForSelector(".cm-tooltip-autocomplete li");
saw.completions = await page.locator(".cm-tooltip-autocomplete .cm-completionLabel")
  .allTextContents();
await page.keyboard.press("Escape");

// A link restores the view; so does the address that the page made of it, opened again.
await page.goto(link({ "g0.expr": "spec_temperature", "g1.expr": "spec_temperature * 2", ...TIMES }));
saw.points = await points();
saw.legend = await legend();
saw.range = await axis();
await page.getByRole("button", { name: "Stacked" }).click();
await page.waitForFunction(() => location.search.includes("g0.stacked=1"));
saw.stacked = await points();
await page.goto(page.url());
saw.end_input = await page.getByLabel("end of the range").inputValue();
saw.reopened = await points();
await picture("stacked");

// Zoom by dragging over the middle third.
await page.goto(link({ "g0.expr": "spec_temperature", ...TIMES }));
await points();
const box = await page.locator(".u-over").boundingBox();
await page.mouse.move(box.x + box.width / 3, box.y + 50);
await page.mouse.down();
await page.mouse.move(box.x + box.width * 2 / 3, box.y + 60, { steps: 5 });
await page.mouse.up();
await page.waitForFunction(() => !location.search.includes("g0.range_input=10m"));
await points();
saw.zoomed = await axis();

// A label that would like to be HTML, in the chart and in the table.
await page.goto(link({ "g0.expr": "spec_hostile", ...TIMES }));
await points();
saw.hostile_legend = await legend();
await page.getByRole("button", { name: "Table" }).click();
await page.waitForSelector("#result td");
saw.hostile_table = await page.locator("#result td").allTextContents();
saw.images = await page.locator("#view img").count();
saw.hostile_ran = await page.evaluate(() => window.hostile === true);

// A link of Prometheus, whose dates are UTC.
await page.goto(link({ "g0.expr": "spec_temperature", ...TIMES,
  "g0.end_input": "2001-09-09 01:56:40" }));
await points();
saw.utc = await axis();

// What is wrong with a query is said.
await page.goto(link({ "g0.expr": "rate(spec_temperature)", ...TIMES }));
saw.error = await page.locator(".message.error").textContent();

// The other views.
await page.getByRole("link", { name: "Explore" }).click();
await page.waitForSelector(".explore section:nth-of-type(3) table");
saw.metrics = await page.locator(".explore section:first-of-type tbody tr").allTextContents();
await page.getByRole("button", { name: "room", exact: true }).click();
await page.waitForSelector("h3:has-text('values of room')");
saw.images += await page.locator("#view img").count();
await picture("explore");
await page.getByRole("link", { name: "Operate" }).click();
await page.getByRole("button", { name: "Undelete" }).click();
await page.waitForSelector("text=the trash is empty");
saw.alerts = await page.locator("section:has(h2:text-is('Alerts')) td:first-child")
  .allTextContents();
saw.scripts = await page.locator("section:has(h2:text-is('Scripts')) td:first-child")
  .allTextContents();
saw.operate_errors = await page.locator(".message.error").count();
await page.evaluate((text) => {
  const body = new URLSearchParams({ query: text, start: 1000000000, end: 1000010000, step: 1 });
  window.heavy = fetch("api/v1/query_range", { method: "POST", body }).then((answer) => answer.text());
}, Array(40).fill("quantile_over_time(0.9, vector(1)[1h:1s])").join(" + "));
await page.getByRole("link", { name: "Explore" }).click();
await page.getByRole("link", { name: "Operate" }).click();
await page.getByRole("button", { name: "Kill" }).click();
saw.killed = await page.evaluate(() => window.heavy);
await picture("operate");

if (pictures) {
  await page.goto(link({ "g0.expr": "demo_load", "g0.range_input": "6h",
    "g0.end_input": "1000021600" }));
  await points();
  await picture("graph");
  await page.emulateMedia({ colorScheme: "dark" });
  await points();
  await picture("dark");
  await page.setViewportSize({ width: 390, height: 800 });
  await picture("small");
}
await browser.close();
console.log(JSON.stringify(saw));

// Graphs: what is drawn, and every control of it.
const TIMES = { "g0.range_input": "10m", "g0.end_input": "1000000600", "g0.step_input": "60s" };

export default async function play({ page, origin, saw, link, points, draw, axis, examine }) {
  const legend = () => page.locator(".legend-name").allTextContents();
  const plot = (read) => page.evaluate(read);

  // By the keyboard alone: "/" leads to the query, a completion, Enter runs, Tab goes on.
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => document.activeElement?.classList.contains("cm-content"));
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("/");
  await page.keyboard.type("spec_temper");
  await page.waitForSelector(".cm-tooltip-autocomplete li");
  saw.completions = await page.locator(".cm-tooltip-autocomplete .cm-completionLabel")
    .allTextContents();
  await page.keyboard.press("Escape");
  await page.keyboard.type("ature[10m:1m]");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".message.error");
  await page.keyboard.press("Home");
  await page.keyboard.type("last_over_time(");
  await page.keyboard.press("End");
  await page.keyboard.type(")");
  await page.keyboard.press("Control+Enter");
  await page.waitForSelector(".message.info"); // nothing of the last hour
  saw.typed = await page.locator(".cm-content").textContent();
  saw.tabbed = [];
  for (let i = 0; i < 18; i++) {
    await page.keyboard.press("Tab");
    saw.tabbed.push(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ??
      document.activeElement.textContent));
  }

  // A link restores the view; so does the address that the page made of it, opened again.
  saw.points = await draw({ "g0.expr": "spec_temperature", "g1.expr": "spec_temperature * 2",
    ...TIMES });
  saw.legend = await legend();
  saw.range = await axis();
  await page.getByRole("button", { name: "Stacked" }).click();
  await page.waitForFunction(() => location.search.includes("g0.stacked=1"));
  saw.stacked = await points();
  await page.goto(page.url());
  saw.end_input = await page.getByLabel("end of the range").inputValue();
  saw.reopened = await points();

  // The legend lifts a line, and shows it alone.
  await page.locator(".legend-entry").nth(1).hover();
  await page.waitForSelector(".legend-entry.lifted");
  saw.alphas = await plot(() => document.querySelector(".plot").plot.series.slice(1)
    .map((one) => one.alpha));
  await page.locator(".legend-entry").nth(1).click();
  saw.alone = await plot(() => document.querySelector(".plot").plot.series.slice(1)
    .map((one) => one.show));
  await page.locator(".legend-entry").nth(1).click();
  saw.together = await plot(() => document.querySelector(".plot").plot.series.slice(1)
    .map((one) => one.show));

  // Queries come and go.
  await page.getByRole("button", { name: "Add query" }).click();
  await page.keyboard.type("spec_temperature + 1000");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Run" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".legend-entry").length === 3);
  await page.locator(".query").nth(0).getByRole("button").click();
  await page.waitForFunction(() => document.querySelectorAll(".legend-entry").length === 2);
  saw.left = await legend();

  // Zoom by dragging over the middle third; a double click widens.
  await draw({ "g0.expr": "spec_temperature", ...TIMES });
  const box = await page.locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width / 3, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 2 / 3, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => !location.search.includes("g0.range_input=10m"));
  await points();
  saw.zoomed = await axis();
  await page.goBack();
  await points();
  saw.back = await axis();
  await page.locator(".u-over").dblclick();
  await page.waitForFunction(() => location.search.includes("g0.range_input=15m"));
  await points();
  saw.widened = await axis();

  // Range, end and step by their fields; earlier, later, and following the clock.
  await draw({ "g0.expr": "spec_temperature", ...TIMES });
  await page.getByLabel("step between points").fill("2m");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.search.includes("g0.step_input=2m"));
  saw.by_step = await points();
  await page.getByLabel("range", { exact: true }).fill("5m");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.search.includes("g0.range_input=5m"));
  await points();
  saw.by_range = await axis();
  await page.getByRole("button", { name: "‹" }).click();
  await page.waitForFunction(() => !location.search.includes("g0.end_input=1000000600"));
  await points();
  saw.earlier = await axis();
  await page.getByLabel("end of the range").fill("2001-09-09 10:56:40");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.search.includes("g0.end_input=1000000600"));
  await draw({ "g0.expr": "vector(1)", "g0.range_input": "10m", "g0.end_input": "now-1h" });
  saw.relative = (await axis())[1] - Date.now() / 1000;
  await page.getByRole("button", { name: "Now" }).click();
  await page.waitForFunction(() => !location.search.includes("end_input"));
  await points();
  saw.now = (await axis())[1] - Date.now() / 1000;

  // A logarithm leaves out what it does not know.
  await draw({ "g0.expr": "spec_signed", ...TIMES });
  await page.getByRole("button", { name: "Log" }).click();
  await page.waitForFunction(() => location.search.includes("g0.log=1"));
  await page.waitForFunction(() => document.querySelector(".plot")?.plot.scales.y.distr === 3);
  saw.log = await points();

  // Live: what is pushed while the page is open comes into the chart.
  await draw({ "g0.expr": "spec_live", "g0.range_input": "10m", "g0.end_input": "1000000600",
    "g0.step_input": "60s", "g0.refresh": "1s" });
  saw.before = await points();
  saw.pushed = await page.evaluate(async () => (await fetch("api/v1/import/prometheus",
    { method: "POST", body: "spec_live 7 1000000300000\n" })).status);
  await page.waitForFunction(() => document.querySelector(".plot").plot.data[1].includes(7));
  saw.after = await points();

  // A label that would like to be HTML, in the chart and in the table.
  await draw({ "g0.expr": "spec_hostile", ...TIMES });
  saw.hostile_legend = await legend();
  await examine();
  await page.getByRole("button", { name: "Table" }).click();
  await page.waitForSelector("#result td");
  saw.hostile_table = await page.locator("#result td").allTextContents();
  await examine();

  // A link of Prometheus, whose dates are UTC.
  await draw({ "g0.expr": "spec_temperature", ...TIMES, "g0.end_input": "2001-09-09 01:56:40" });
  saw.utc = await axis();

  // What is wrong is said.
  await page.goto(link({ "g0.expr": "rate(spec_temperature)", ...TIMES }));
  saw.error = await page.locator(".message.error").textContent();
  await page.goto(link({ "g0.expr": "spec_temperature", "g0.range_input": "soon" }));
  saw.range_error = await page.locator(".message.error").textContent();
}

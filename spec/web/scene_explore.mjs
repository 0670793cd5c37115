// What is stored: metrics, labels, series and their chunks.
export default async function play({ page, origin, saw, points, axis, part, examine }) {
  await page.goto(`${origin}/?view=explore`);
  await part("Cardinality").locator("table").first().waitFor();
  saw.metrics = await part("Metrics").locator("tbody tr").allTextContents();
  saw.cardinality = await part("Cardinality").locator("tbody tr").allTextContents();
  await page.getByLabel("filter metrics").fill("LOAD");
  saw.filtered = await part("Metrics").locator("tbody tr").allTextContents();
  await page.getByRole("button", { name: "host", exact: true }).click();
  await page.waitForSelector("h3:has-text('values of host')");
  saw.values = await part("Labels").locator("h3 ~ .scroll td").allTextContents();
  await examine();

  // The series of a selector, each with its graph.
  await page.getByLabel("selector of series").fill("spec_load");
  await page.keyboard.press("Enter");
  await part("Series").locator("table").waitFor();
  saw.series = await part("Series").locator("td:first-child").allTextContents();
  await page.reload();
  await part("Series").locator("table").waitFor();
  saw.series_again = await part("Series").locator("td:first-child").allTextContents();
  const live = part("Series").locator("tr", { hasText: "live" });
  await live.getByRole("link", { name: "graph" }).click();
  await points();
  saw.graphed = await page.locator(".cm-content").textContent();
  await page.goBack();

  // The chunks of one: drawn, with what each is.
  await live.getByRole("link", { name: "chunks" }).click();
  await page.waitForSelector(".timeline svg");
  saw.chunks = await page.locator("rect.chunk").evaluateAll((list) => list.map((one) => {
    const { x, width, y, height } = one.getBBox();
    return { ...one.dataset, x, width, y, height, title: one.textContent };
  }));
  saw.lanes = await page.locator("rect.lane").count();
  saw.facts = await page.locator(".series-chunks dd").allTextContents();
  await page.getByText("All chunks as a table").click();
  saw.rows = await page.locator(".series-chunks tbody tr").count();
  await page.getByRole("link", { name: "graph all of it" }).click();
  saw.drawn = await points();
  saw.axis = await axis();
  await page.goBack();

  await page.getByLabel("selector of series").fill("spec_load");
  await page.getByRole("button", { name: "Chunks" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".timeline").length === 2);
  saw.archived = await page.locator(".series-chunks", { hasText: "idle" }).locator("dd")
    .allTextContents();

  // Labels that would like to be HTML, selectors that are none.
  await page.getByLabel("selector of series").fill("spec_hostile");
  await page.getByRole("button", { name: "Chunks" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".timeline").length === 1);
  saw.hostile = await page.locator(".series-chunks h3").textContent();
  await examine();
  await page.getByRole("button", { name: "Series" }).click();
  await part("Series").locator("table").waitFor();
  await examine();
  await page.getByLabel("selector of series").fill("1 + 1");
  await page.keyboard.press("Enter");
  saw.wrong = await part("Series").locator(".message.error").textContent();
  await page.getByLabel("selector of series").fill("nothing_of_this_name");
  await page.keyboard.press("Enter");
  saw.nothing = await part("Series").locator(".empty").textContent();
}

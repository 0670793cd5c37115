// The pictures of README, for people: nothing is judged here.
const RATE = 'sum by (service) (rate(shop_requests_total[5m]))';

export default async function play({ page, origin, points, part, picture, draw }) {
  const size = (width, height) => page.setViewportSize({ width, height });

  await size(1110, 780);
  await draw({ "g0.expr": RATE, "g0.range_input": "2d" });
  await page.mouse.move(620, 330);
  await picture("page");
  await page.emulateMedia({ colorScheme: "dark" });
  await draw({ "g0.expr": RATE, "g0.range_input": "1d", "g0.stacked": "1" });
  await picture("page-stacked");

  await size(1110, 520);
  await page.goto(`${origin}/?${new URLSearchParams({ view: "explore", chunks: "1",
    match: 'shop_latency_seconds{instance="3",service="checkout"}' })}`);
  await page.waitForSelector(".timeline svg");
  await part("Metrics").locator("table").waitFor();
  await picture("page-chunks");
  await page.emulateMedia({ colorScheme: "light" });

  await size(1110, 520);
  await page.goto(`${origin}/?view=console`);
  for (const line of ['tide.query "sum by (service) (shop_latency_seconds)"',
    "for name, count in pairs { cart = 3, search = 7 } do print(name, count) end",
    "tide.series '{service=\"debug\",instance=\"1\"}'"]) {
    await page.getByLabel("a line of Lua").fill(line);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".console button.primary").disabled ===
      false);
  }
  await picture("page-console");

  await size(1110, 1000);
  await page.goto(`${origin}/?view=operate`);
  await page.getByRole("button", { name: "Plan the next pass" }).click();
  await page.waitForSelector(".plan table");
  await picture("page-operate", { clip: await part("Retention").boundingBox() });
}

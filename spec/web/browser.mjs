// Plays a scene in a real browser for the specs; prints one line of JSON: what it saw.
// Arguments: the scene, the server's address, Chromium, a new folder for its profile, [a folder for
// pictures].
import { createRequire } from "node:module";

const [scene, address, program, profile, pictures] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/web/package.json`)("playwright-core");
const origin = `http://${address}`;
const saw = { errors: [], foreign: [], images: 0 };

// No name is found, and no address but this machine's.
const context = await chromium.launchPersistentContext(profile, {
  executablePath: program,
  headless: true,
  timezoneId: "Asia/Tokyo",
  viewport: { width: 1200, height: 820 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
const page = context.pages()[0] ?? await context.newPage();
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

const stage = {
  context, page, origin, saw, pictures,

  link: (parameters) => `${origin}/graph?${new URLSearchParams(parameters)}`,

  // The lines of the chart: [[time, value], ...] of each, once the queries are answered.
  async points() {
    const handle = await page.waitForFunction(() => {
      const plot = document.querySelector('#result[aria-busy="false"] .plot')?.plot;
      if (!plot) return null;
      const [times, ...columns] = plot.data;
      return columns.map((column) => times.map((time, i) => [time, column[i]])
        .filter(([, value]) => value !== null));
    });
    return handle.jsonValue();
  },

  async draw(parameters) {
    await page.goto(stage.link(parameters));
    return stage.points();
  },

  axis: () => page.evaluate(() => {
    const { min, max } = document.querySelector(".plot").plot.scales.x;
    return [min, max];
  }),

  // The section of a view with this title.
  part: (title) => page.locator("section", { has: page.locator(`h2:text-is("${title}")`) }),

  async picture(name, options = {}) {
    if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, ...options });
  },

  // Whether hostile labels became anything but text; at the end of each view.
  async examine() {
    saw.images += await page.locator("#view img").count();
    saw.hostile_ran = saw.hostile_ran || await page.evaluate(() => window.hostile === true);
  },
};

const { default: play } = await import(`./scene_${scene}.mjs`);
await play(stage);
await stage.examine();
await context.close();
console.log(JSON.stringify(saw));

// How the page looks: light and dark, on large and small screens; what a first graph costs.
const TIMES = { "g0.range_input": "10m", "g0.end_input": "1000000600" };

// Of each visible text its contrast with what is behind it, as WCAG counts it; the least ones.
function contrasts() {
  const channels = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = channels(text).map((one) => one / 255).map((one) =>
      (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() === "" || !node.checkVisibility() || node.closest("svg")) continue;
    const [high, low] = [light(getComputedStyle(node).color), light(ground(node))]
      .sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const name = `${node.tagName}.${node.className}`;
    found.set(name, Math.min(found.get(name) ?? 99, ratio));
  }
  return Object.fromEntries(found);
}

export default async function play({ page, context, origin, saw, link, points }) {
  const views = [["graph", link({ "g0.expr": 'spec_load{host=~"web-[1-5]"}', ...TIMES }), ".legend"],
    ["wrong", link({ "g0.expr": "rate(", ...TIMES }), ".message.error"],
    ["explore", `${origin}/?view=explore&match=spec_load{host="web-1"}`, "section:last-of-type table"],
    ["operate", `${origin}/?view=operate`, "section:last-of-type p"],
    ["console", `${origin}/?view=console`, ".console-input"]];

  saw.contrasts = {};
  saw.grounds = {};
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [name, address, wait] of views) {
      await page.goto(address);
      await page.waitForSelector(wait);
      saw.contrasts[`${name} ${scheme}`] = await page.evaluate(contrasts);
    }
    await page.goto(views[0][1]);
    await points();
    saw.grounds[scheme] = await page.evaluate(() =>
      getComputedStyle(document.body).backgroundColor);
    // The chart's own colours follow while it is shown.
    saw[`axis_${scheme}`] = await page.evaluate(() => {
      const { axes } = document.querySelector(".plot").plot;
      return axes[0].stroke();
    });
  }

  saw.overflow = {};
  for (const width of [360, 768, 1200]) {
    await page.setViewportSize({ width, height: 740 });
    for (const [name, address, wait] of views) {
      await page.goto(address);
      await page.waitForSelector(wait);
      saw.overflow[`${name} ${width}`] = await page.evaluate(() =>
        document.documentElement.scrollWidth - innerWidth);
      if (name === "graph") {
        saw[`chart_${width}`] = await page.evaluate(() => {
          const { width: w, height: h } = document.querySelector(".plot").getBoundingClientRect();
          return [w, h];
        });
      }
    }
  }

  // A first graph of 100,000 points: what the browser's main thread does for it, reading included.
  await page.setViewportSize({ width: 1200, height: 820 });
  await page.goto("about:blank");
  const tools = await context.newCDPSession(page);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const spent = async () => Object.fromEntries((await tools.send("Performance.getMetrics")).metrics
    .map(({ name, value }) => [name, value]));
  const before = await spent();
  await page.goto(link({ "g0.expr": "spec_load", "g0.range_input": "10m",
    "g0.end_input": "1000000600", "g0.step_input": "2400ms" }));
  await page.waitForSelector(".legend-entry");
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
  const after = await spent();
  const cost = (name) => after[name] - before[name];
  saw.cpu = { tasks: cost("TaskDuration") - cost("DevToolsCommandDuration"),
    scripts: cost("ScriptDuration") };
  saw.many = (await points()).reduce((sum, one) => sum + one.length, 0);
}

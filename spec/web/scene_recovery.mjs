// A page that is opened while the server opens its store. SLOW_START is the command of a server,
// which is started when the browser is there already.
import { spawn } from "node:child_process";
import { once } from "node:events";

export default async function play({ page, origin, saw }) {
  const [program, ...rest] = process.env.SLOW_START.split(" ");
  const server = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  await once(server.stdout, "data");
  await page.goto(`${origin}/?g0.expr=vector(1)`);
  saw.states = [];
  for (;;) {
    const now = await page.evaluate(() => {
      const bar = document.querySelector("progress");
      return bar && { title: document.querySelector(".recovery h2").textContent,
        what: document.querySelector(".recovery").textContent, value: bar.value, max: bar.max,
        known: bar.hasAttribute("value") };
    });
    if (now) saw.states.push(now);
    if (await page.evaluate(() => document.querySelector(".plot") !== null)) break;
    await page.waitForTimeout(50);
  }
  saw.drawn = await page.locator(".legend-name").allTextContents();
  saw.ready = await page.evaluate(async () => (await fetch("-/ready")).status);

  // The server goes while the page is shown, and it says so.
  server.kill("SIGTERM");
  [saw.ended] = await once(server, "exit");
  await page.getByRole("button", { name: "Run" }).click();
  saw.away = await page.locator(".recovery").textContent();
}

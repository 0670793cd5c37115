// Lines of Lua in the running server.
export default async function play({ page, origin, saw, examine }) {
  await page.goto(`${origin}/?view=console`);
  const input = page.getByLabel("a line of Lua");
  const kinds = () => page.locator(".console-output pre").evaluateAll((list) =>
    list.map((one) => [one.className, one.textContent]));
  const idle = () => page.waitForFunction(() =>
    document.querySelector(".console button.primary")?.disabled === false);
  const run = async (text) => {
    await input.fill(text);
    await page.keyboard.press("Enter");
    await idle();
  };

  await run("print('a', 1) kept = 6 * 7 return kept, '<img src=x onerror=window.hostile=true>'");
  saw.first = await kinds();
  await run("for i = 1, 2 do"); // more is wanted
  saw.wanted = await input.inputValue();
  await page.keyboard.type("print(i) end");
  await page.keyboard.press("Enter");
  await idle();
  saw.second = (await kinds()).slice(saw.first.length);
  await page.getByRole("button", { name: "Clear" }).click();
  await run("error('no', 0)");
  await run('tide.query "spec_hostile"');
  await examine();
  saw.third = await kinds();

  // Another view and back: the session is the same, the older lines are there.
  await page.getByRole("link", { name: "Explore" }).click();
  await page.getByRole("link", { name: "Console" }).click();
  await run("kept");
  saw.kept = (await kinds()).at(-1);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  saw.older = await input.inputValue();

  await input.fill("ke");
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.querySelector(".console-input").value === "kept");
  await input.fill("");

  // What is printed comes while the line runs; Ctrl-C ends it.
  await input.fill("while true do print('tick') tide.now() end");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".console-output").textContent
    .includes("tick"));
  saw.stop_enabled = await page.getByRole("button", { name: "Stop" }).isEnabled();
  await page.getByRole("button", { name: "Stop" }).click();
  await idle();
  saw.stopped = (await kinds()).at(-1);
  saw.lines = await page.locator(".console-output pre").count();
  await page.goto("about:blank"); // the session ends with the page
}

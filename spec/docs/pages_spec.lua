-- The pages that a newcomer follows: what they tell to type is typed, and what they show comes.
local manual_page = require "spec.support.manual_page"

local read = require("spec.support.file").read

-- A program that a page starts and that may be missing here.
local function is_missing(steps, name)
  for _, step in ipairs(steps) do
    if step.kind == "command" and step.text:find("^" .. name) then
      return os.execute("PATH=build/peers/usr/bin:$PATH; command -v " .. name .. " >/dev/null") ~= 0
    end
  end
end

for _, path in ipairs { "README.md", "docs/getting-started.md" } do
  describe(path, function()
    local text = read(path)

    it("works as it is written", function()
      local steps = manual_page.parse(text)
      if is_missing(steps, "prometheus") then
        pending("prometheus is not there: make peers")
        return
      end
      local reader = manual_page.reader()
      finally(function() reader:close() end)
      for _, step in ipairs(steps) do reader:step(step) end
    end)

    it("has no command that is not tried", function()
      assert.same({}, manual_page.strays(text))
    end)
  end)
end

-- The judge itself.
describe("a page of the manual", function()
  local function try(text)
    local reader = manual_page.reader()
    finally(function() reader:close() end)
    for _, step in ipairs(manual_page.parse(text)) do
      local ok, problem = pcall(reader.step, reader, step)
      if not ok then return problem end
    end
    return "good"
  end

  local function block(...) return "```console\n" .. table.concat({ ... }, "\n") .. "\n```\n" end

  it("is good when its commands say what it says", function()
    assert.equal("good", try(block("$ printf 'a\\nb\\nc\\n' |", "  cat", "a", "...", "c",
      "$ true")))
    assert.equal("good", try("```text notes\nx\n```\n" .. block("$ cat notes", "x")))
    assert.equal("good", try(block("$ echo 1795897810.024 1795897810016 2026-11-28T20:29:47Z",
      "1695897811 1695897810000 2025-11-28T20:29:47.123Z")))
  end)

  it("is wrong when a command fails, is silent, or says something else", function()
    for _, wrong in ipairs {
      block("$ false"), block("$ true # status 1"), block("$ true", "a"), block("$ echo a"),
      block("$ echo a", "b"), block("$ printf 'a\\nb\\n'", "a"), block("$ echo 12", "13"),
      block("$ tidemark export up"), block("$ echo a.b", "axb"),
      block("$ printf 'a\\nb\\n'", "...", "c"),
    } do
      assert.truthy(try(wrong):find("^line 2: "), wrong)
    end
  end)
end)

-- A real browser for specs of the page. Needs the page (make web), node and Chromium; without one
-- of them the specs are skipped.
local assert = require "luassert"
local json = require "cjson"
local process = require "spec.support.process"

local browser = {}

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function found(program)
  local pipe = io.popen("command -v " .. program)
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local function missing()
  return not found("chromium") and "Chromium" or not found("node") and "node" or
    not exists("web/node_modules/playwright-core/package.json") and "playwright-core (make web)" or
    not exists("web/dist/app.js.gz") and "the page (make web all)"
end

-- These specs, or one that says what is missing: describe("...", browser.specs(function() ... end))
function browser.specs(specs)
  local what, busted = missing(), getfenv(specs)
  return not what and specs or function()
    print("SKIPPED, without " .. what .. ": specs in a browser")
    busted.it("needs " .. what, function() busted.pending(what .. " is missing") end)
  end
end

-- Runs spec/web/scene_NAME.mjs over the page at an address; what it saw. `environment`: "A=value".
function browser.see(scene, address, pictures, environment)
  local profile = process.folder()
  local pipe = io.popen(("%s timeout 150 node spec/web/browser.mjs %s %s %s %s %s 2>&1"):format(
    environment or "", scene, address, found("chromium"), profile, pictures or ""))
  local text = pipe:read("*a")
  pipe:close()
  process.remove(profile)
  local ok, saw = pcall(json.decode, text:match("[^\n]*\n?$"))
  if not ok then error("the browser: " .. text, 2) end
  return saw
end

-- A label value that would like to be HTML.
browser.HOSTILE = "<img src=x onerror=window.hostile=true>"

-- What every scene has to be: no other host was asked, no script ran but the page's, no line in the
-- browser's console but those that are expected.
function browser.is_clean(saw, ...)
  assert.same({}, saw.foreign)
  assert.is_false(saw.hostile_ran)
  assert.equal(0, saw.images)
  for _, text in ipairs(saw.errors) do
    local expected = false
    for _, part in ipairs { ... } do expected = expected or text:find(part, 1, true) ~= nil end
    assert.is_true(expected, text)
  end
end

return browser

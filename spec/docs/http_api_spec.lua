-- docs/http-api.md and the router: every route is on the page as it is, and the page has no other.
local server = require "spec.support.server"

local read = require("spec.support.file").read

-- "GET POST" in order of the alphabet, from whatever separates the words.
local function verbs_of(text)
  local list = {}
  for verb in text:gmatch("%u+") do list[#list + 1] = verb end
  table.sort(list)
  return table.concat(list, " ")
end

-- { ["/path"] = { ["GET POST"] = "role, always" } } of the table in routes.c.
local function routes()
  local found, count = {}, 0
  local text = read("core/http/routes.c"):match("struct http_route routes%[%] = (%b{})")
  text = text:gsub("HTTP_VERB_", ""):gsub("GROUP", "PUT | POST | DELETE")
  for pattern, verbs, role, flags in
    text:gmatch('{"(/[^"]*)",%s*([%u |]+),%s*HTTP_ROLE_(%u+),%s*([%u_ |0]+),') do
    found[pattern] = found[pattern] or {}
    found[pattern][verbs_of(verbs)] = (role == "NONE" and "-" or role:lower()) ..
      (flags:find("ALWAYS") and ", always" or "")
    count = count + 1
  end
  assert(count == select(2, text:gsub('{"/', "")), "a row of routes.c is not understood")
  return found
end

-- The same of the page.
local function documented()
  local found, list = {}, {}
  for verbs, path, role, rest in read("docs/http-api.md"):gmatch(
    "\n| ([%u ]+) `(/[^`]*)` | (%S+) |([^\n]*)") do
    local pattern = path:gsub("{group}", "**"):gsub("{%a+}", "*")
    found[pattern] = found[pattern] or {}
    assert(not found[pattern][verbs_of(verbs)], path .. " stands there twice")
    found[pattern][verbs_of(verbs)] = role .. (rest:find("%*always%*") and ", always" or "")
    list[#list + 1] = { path = path, verbs = verbs }
  end
  return found, list
end

describe("docs/http-api.md", function()
  it("has every route of the router, with its methods and role, and no other", function()
    local theirs, ours = routes(), documented()
    for path, methods in pairs(theirs) do assert.same(methods, ours[path], path) end
    for path in pairs(ours) do assert.is_table(theirs[path], path .. " is no route") end
  end)

  it("names paths and methods that a server knows, and all of them", function()
    local tidemark = server.start()
    finally(function() tidemark:stop() end)
    local _, list = documented()
    local known = {}
    for _, row in ipairs(list) do
      local path = row.path:gsub("{group}", "job/none"):gsub("{%a+}", "none")
      known[path] = known[path] or {}
      for verb in row.verbs:gmatch("%u+") do known[path][verb] = true end
    end
    for path, verbs in pairs(known) do
      -- A method that no route has is answered without doing anything, and tells the others.
      local answer = tidemark:request("PATCH", path)
      assert.equal(405, answer.status, path)
      for verb in pairs(verbs) do
        assert.truthy(answer.headers.allow:find(verb, 1, true), path .. " " .. verb)
      end
      for verb in answer.headers.allow:gmatch("%u+") do
        assert.is_true(verbs[verb] or verb == "HEAD" or verb == "OPTIONS", path .. " " .. verb)
      end
    end
  end)
end)

-- docs/lua-api.md: every example runs and answers as the page says; every name of tide is on it.
local ffi = require "ffi"
local rules = require "spec.support.rules"
local selector = require "tidemark.selector"
local units = require "tidemark.units"
local engine = require "spec.unit.store.engine"

-- The examples: { line, lua = source, try = { { line, kind, series, answer } } }.
local function examples_of(path)
  local examples, open, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    if line == "```lua" then
      open = { line = number, source = {}, try = {} }
      examples[#examples + 1] = open
    elseif line == "```lua test" then
      open = { source = {} }
      examples[#examples].test = open.source
    elseif line == "```try" then
      open = examples[#examples]
      open.trying = true
    elseif line == "```" then
      open = nil
    elseif open and open.trying then
      local kind, series, answer = line:match("^(%a+)%s+(.-)%s+%->%s+(.+)$")
      assert(kind, path .. ":" .. number .. ": not a line of questions: " .. line)
      table.insert(open.try, { line = number, kind = kind, series = series, answer = answer })
    elseif open then
      table.insert(open.source, line)
    end
  end
  return examples
end

local function labels_of(text)
  local map = {}
  for _, matcher in ipairs(assert(selector.parse(text))) do
    assert(matcher[2] == 0, text)
    map[matcher[1]] = matcher[3]
  end
  return map
end

local ask = {}

function ask.keep(book, labels)
  local failed = 0
  for _, rule in ipairs(rules.rules(book)) do failed = failed + rule.errors end
  local days = rules.keep(book, labels)
  for _, rule in ipairs(rules.rules(book)) do failed = failed - rule.errors end
  if days == "default" then return "the configuration's" end
  if failed ~= 0 then return days .. ", for the rule is broken" end
  return days == "forever" and days or units.duration_text(days * 86400000)
end

function ask.admit(book, labels)
  local verdict, after, why = rules.admit(book, labels)
  if verdict == "drop" then return why end
  local list = {}
  for name, value in pairs(after) do
    if name ~= "__name__" then list[#list + 1] = ('%s="%s"'):format(name, value) end
  end
  table.sort(list)
  return (after.__name__ or "") .. (#list > 0 and "{" .. table.concat(list, ",") .. "}" or "")
end

function ask.read(book, members)
  local request, status, text = rules.read(book, members)
  if not request then return status .. ": " .. text end
  local list = {}
  for i = 0, tonumber(request.restriction_count) - 1 do
    local matcher = request.restrictions[i]
    list[i + 1] = ('%s%s"%s"'):format(ffi.string(matcher.name),
      ffi.string(rules.C.matcher_operator(matcher.type)), ffi.string(matcher.value))
  end
  return table.concat(list, ", ")
end

-- A store with a little of everything, on which the rules have acted for two minutes; a console.
local DATA = { { { __name__ = "load", job = "web", instance = "a" }, 1 },
  { { __name__ = "load", job = "web", instance = "b" }, 3 },
  { { __name__ = "load", job = "db", instance = "c" }, 5 },
  { { __name__ = "celsius", room = "attic" }, 35 } }

local console, store, folder

local function open_console(book)
  folder = engine.folder()
  store = assert(engine.open { data_dir = folder, clock = rules.clock,
    policy = rules.C.rulebook_policy(book) })
  local runner = rules.scheduler(book, store)
  for _ = 1, 9 do
    local entries = {}
    for i, one in ipairs(DATA) do
      entries[i] = { one[1], { tonumber(rules.clock.manual_wall_ms), one[2] } }
    end
    assert.equal(#DATA, (store:push(entries)))
    store:run "wait_indexed"
    rules.run_due(runner)
    rules.advance(20000)
  end
  console = rules.console(book)
end

local function close_console()
  if console then console:close() end
  rules.stop_schedulers()
  if store then
    store:abandon()
    engine.remove(folder)
  end
  console, store = nil, nil
end

function ask.eval(book, text)
  if not console then open_console(book) end
  local outcome, shown = console:eval(text)
  assert.equal("done", outcome, shown)
  return (shown:gsub("%s+$", ""))
end

function ask.thin(book, labels)
  local list = {}
  for i, tier in ipairs(rules.thin(book, labels)) do
    list[i] = ("%s of %s after %s"):format(tier[1], units.duration_text(tier[2]),
      units.duration_text(tier[3]))
  end
  return list[1] and table.concat(list, ", ") or "nothing"
end

function ask.press(book, list)
  local given = {}
  for i, map in ipairs(list) do given[i] = { labels = map } end
  local out = {}
  for i, one in ipairs(assert(rules.press(book, given))) do
    out[i] = ('env="%s" keeps %s'):format(list[one.index].env, units.duration_text(one.keep_ms))
  end
  return table.concat(out, ", ")
end

function ask.damage(book, labels) return rules.quarantine(book, labels) end

-- The tests of an example, by `tidemark test`.
local function try_tests(example)
  local tried = rules.folder_of { ["example.lua"] = table.concat(example.source, "\n"),
    ["example_test.lua"] = table.concat(example.test, "\n") }
  local pipe = io.popen((os.getenv("BUILD") or "build") .. "/tidemark test " .. tried)
  local text = pipe:read("*a")
  pipe:close()
  assert.truthy(text:find("[1-9]%d* passed, 0 failed\n$"), text)
end

describe("docs/lua-api.md", function()
  after_each(function()
    close_console()
    rules.close_all()
  end)

  local examples = examples_of("docs/lua-api.md")

  it("has examples with questions", function()
    local questions = 0
    for _, example in ipairs(examples) do questions = questions + #example.try end
    assert.is_true(#examples >= 6 and questions >= 15)
  end)

  for _, example in ipairs(examples) do
    it("has an example on line " .. example.line .. " that answers as it says", function()
      local book, problem = rules.open { ["example.lua"] = table.concat(example.source, "\n") }
      assert.is_truthy(book, problem)
      if example.test then try_tests(example) end
      for _, try in ipairs(example.try) do
        local asked
        if try.kind == "eval" then
          asked = try.series
        elseif try.kind == "press" then
          asked = {}
          for one in try.series:gmatch "%S+" do asked[#asked + 1] = labels_of(one) end
        else
          asked = labels_of(try.series)
        end
        assert.equal(try.answer, ask[try.kind](book, asked), "line " .. try.line)
      end
    end)
  end

  local function page()
    local file = assert(io.open("docs/lua-api.md"))
    local text = file:read("*a")
    file:close()
    return text
  end

  -- A script sees whether each is there; the page and this list are kept apart from the sources.
  local offered = {
    [""] = "assert error ipairs next pairs pcall rawequal select setmetatable tonumber tostring " ..
      "type unpack xpcall require",
    ["table."] = "concat insert remove sort",
    ["string."] = "byte char find format len lower rep reverse sub upper",
    ["tide."] = "seconds minutes hours days weeks duration size now ago matches replace pairs " ..
      "log metric drop retention admit transform limit quarantine query refuse result func " ..
      "every record alert on command push import series selector store delete undelete " ..
      "shared downsample disk_pressure",
  }

  it("names everything that is offered", function()
    local text = page()
    for prefix, names in pairs(offered) do
      for name in names:gmatch("[%a_]+") do
        assert.is_truthy(rules.open { ["a.lua"] = "assert(" .. prefix .. name .. ")" }, name)
        assert.is_truthy(text:find("%f[%w]" .. name .. "%f[%W]"), name)
      end
    end
  end)

  it("names all that tests have", function()
    local text = page():match("\n## Tests\n(.-)\n## ")
    for _, name in ipairs { "test", "scripts", "retention", "push", "samples", "feed", "advance",
      "query", "values", "series", "shape", "alerts", "told", "logged", "events",
      "rule_errors", "print",
      "equal", "near", "truthy", "falsy", "contains", "fails" } do
      assert.truthy(text:find("`" .. name .. "%f[%A]"), name)
    end
    local source = require("spec.support.file").read "lua/tidemark/trial.lua"
    for name in source:gmatch("\nfunction offered%.([%a_]+)") do
      assert.truthy(text:find("`" .. name .. "%f[%A]"), name)
    end
    for name in source:gmatch("\nfunction expect%.([%a_]+)") do
      assert.truthy(text:find("`" .. name .. "%("), name)
    end
  end)

  it("names nothing of tide that is not offered", function()
    for name in page():gmatch("`tide%.([%a_]+)") do
      assert.is_truthy(offered["tide."]:find("%f[%a]" .. name .. "%f[^%a_]"), name)
    end
  end)
end)

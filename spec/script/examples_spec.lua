-- scripts/: every example loads without complaint and decides as its first lines say.
local ffi = require "ffi"
local lfs = require "lfs"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = rules.C

local NOW, DAY = rules.NOW, 86400000

after_each(rules.close_all)

local function source(name)
  local file = assert(io.open("scripts/" .. name .. ".lua"))
  local text = file:read("*a")
  file:close()
  return text
end

local function open(name)
  return assert((rules.open { ["a.lua"] = source(name) }))
end

local function read(book, members)
  members.start_ms = 0
  return rules.read(book, members)
end

local examples = {}

function examples.retention_by_team(book)
  assert.equal(400, (rules.keep(book, { team = "payments" })))
  assert.equal(7, (rules.keep(book, { team = "lab" })))
  assert.same({ "default", "always" }, { rules.keep(book, { team = "other" }) })
  assert.same({ "default", "always" }, { rules.keep(book, { job = "x" }) })
end

function examples.retention_short_lived(book)
  assert.equal(2, (rules.keep(book, { __name__ = "debug_gc" })))
  assert.equal(14, (rules.keep(book, { __name__ = "go_goroutines", job = "loadtest" })))
  assert.equal(1, (rules.keep(book, { __name__ = "up", job = "loadtest" })))
  assert.equal("default", (rules.keep(book, { __name__ = "my_debug_gc" })))
end

function examples.forget_the_dead(book)
  assert.same({ 60, 86400 }, { rules.keep(book, { a = "1" }, { last_ms = NOW - 31 * DAY }) })
  assert.same({ "default", 3600 }, { rules.keep(book, { a = "1" }, { last_ms = NOW - 29 * DAY }) })
  assert.equal("default", (rules.keep(book, { a = "1" }, { last_ms = rules.DEFAULT })))
end

function examples.keep_what_is_read(book)
  assert.equal(400, (rules.keep(book, { __name__ = "up" })))
  -- Nothing is known of its use; what is known is tried in use_server_spec.lua.
  assert.same({ "default", 3600 }, { rules.keep(book, { __name__ = "a" }) })
end

function examples.rename_labels(book)
  local verdict, labels = rules.admit(book, { __name__ = "a", host = "x", job = "j" })
  assert.same({ "changed", { __name__ = "a", instance = "x", job = "j" } }, { verdict, labels })
  assert.equal("as_is", (rules.admit(book, { host = "x", instance = "y" })))
  assert.equal("as_is", (rules.admit(book, { instance = "y" })))
end

function examples.admit_no_dev_pods(book)
  local verdict, _, why = rules.admit(book, { env = "dev" })
  assert.same({ "drop", 'dropped by the rule "no development": environment dev' }, { verdict, why })
  assert.equal("as_is", (rules.admit(book, { env = "prod" })))
  assert.equal("as_is", (rules.admit(book, { job = "x" })))
end

function examples.admit_tidy_labels(book)
  assert.same({ "changed", { zone = "b", dc = "x", pod = "web-7d9f-x2x4k", workload = "web" }, "" },
    { rules.admit(book, { availability_zone = "a", zone = "b", datacenter = "x", pod_ip = "1",
      pod = "web-7d9f-x2x4k" }) })
end

function examples.quarantine_salvage(book)
  local damage = { file = "f", text = "t", offset = 0, chunks_sound = 0, chunks_bad = 3 }
  assert.equal("salvage", rules.quarantine(book, { __name__ = "requests_total" }))
  assert.equal("quarantine", rules.quarantine(book, { __name__ = "requests_total" }, damage))
  assert.equal("quarantine", rules.quarantine(book, { __name__ = "temperature" }))
end

function examples.downsample_by_age(book)
  for name, using in pairs { requests_total = "counter", latency_bucket = "counter", up = "last",
    build_info = "last", process_start_time_seconds = "last", room_celsius = "avg" } do
    local tiers = rules.thin(book, { __name__ = name })
    assert.equal(1, #tiers)
    assert.same({ using, 300000, 30 * DAY }, { unpack(tiers[1], 1, 3) }, name)
  end
end

function examples.disk_pressure(book)
  local now = rules.NOW
  local ranked = rules.press(book, {
    { labels = { env = "prod" }, last_ms = now },
    { labels = { env = "prod" }, last_ms = now - 31 * DAY },
    { labels = { env = "staging" }, last_ms = now },
    { labels = { job = "audit", env = "dev" }, last_ms = now },
    { labels = { env = "dev" }, last_ms = now, bytes = 1041 },
    { labels = { env = "dev" }, last_ms = now, bytes = 4164 },
  })
  local order, keeps = {}, {}
  for i, one in ipairs(ranked) do order[i], keeps[i] = one.index, one.keep_ms / DAY end
  assert.same({ 6, 5, 3, 2, 1 }, order)
  assert.same({ 1, 1, 7, 30, 30 }, keeps)
end

-- What they do is seen on a server (examples_server_spec.lua) only.
function examples.limit_per_tenant(book)
  local hooks = {}
  for i, rule in ipairs(rules.rules(book)) do hooks[i] = rule.hook .. " " .. rule.title end
  assert.same({ "limit quota of search", "limit quota per tenant", "limit rate per tenant",
    "on quota nearly used up" }, hooks)
end

function examples.transform_sane_gauges(book)
  assert.equal(4, #rules.rules(book))
end

function examples.query_tenants(book)
  local request = assert(read(book, { user = "ann", tenant = "web" }))
  assert.equal(1, tonumber(request.restriction_count))
  assert.equal("tenant", ffi.string(request.restrictions[0].name))
  assert.equal("web", ffi.string(request.restrictions[0].value))
  assert.equal(0, tonumber(read(book, { user = "admin" }).restriction_count))
  assert.same({ nil, 403, 'this server needs a tenant (rule "tenants see their own")', "denied" },
    { read(book, { user = "eve" }) })
end

function examples.query_guard(book)
  assert.equal(15000, tonumber(read(book, {}).step_ms))
  local long = read(book, { end_ms = 8 * DAY })
  assert.equal(300000, tonumber(long.step_ms))
  assert.equal(30000, tonumber(long.timeout_ms))
  assert.equal(10000000, tonumber(long.max_samples))
  assert.equal(3600000, tonumber(read(book, { end_ms = 91 * DAY }).step_ms))
end

-- Those that read and act run on a server: examples_server_spec.lua.
for _, name in ipairs { "record_by_job", "alert_targets", "result_mask", "events_new_series",
  "func_hampel" } do
  examples[name] = function(book) assert.is_true(#rules.rules(book) > 0) end
end

describe("scripts/", function()
  for file in lfs.dir("scripts") do
    local name = file:match("^([%w_]+)%.lua$")
    if name and not name:find("_test$") then
      it(name .. " decides as it says", function()
        assert.is_truthy(examples[name], "no spec for " .. name)
        local book = open(name)
        examples[name](book)
        for _, rule in ipairs(rules.rules(book)) do assert.equal("", rule.last_error) end
      end)
    end
  end

  it("has a page for each, with its rules' names", function()
    for name in pairs(examples) do
      local file = assert(io.open("scripts/" .. name .. ".md"), name)
      local text = file:read("*a")
      file:close()
      assert.is_truthy(text:find("# " .. name, 1, true), name)
      local book = open(name)
      for _, rule in ipairs(rules.rules(book)) do
        assert.is_truthy(text:find(rule.title, 1, true), name .. ": " .. rule.title)
      end
    end
  end)

  it("has nothing that tidemark check complains about, one by one or together", function()
    local buf, err = ffi.new("struct buf"), tide.error()
    local count = C.rulebook_check("scripts", 300000, buf, err)
    local text = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
    assert.same({ 0, "" }, { count, text })
  end)

  it("has a README that names all of them and no others", function()
    local file = assert(io.open("scripts/README.md"))
    local text = file:read("*a")
    file:close()
    for name in text:gmatch("| ([%w_]+)%.lua") do assert.is_truthy(examples[name], name) end
    for name in pairs(examples) do
      assert.is_truthy(text:find("| " .. name .. ".lua", 1, true), name)
      source(name)
    end
  end)
end)

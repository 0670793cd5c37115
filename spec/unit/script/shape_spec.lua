-- Query rules: what they see of a read, how they narrow it, and that failures refuse.
local ffi = require "ffi"
local rules = require "spec.support.rules"
local C = rules.C

after_each(rules.close_all)

local SELECTS = 12345
local shape = rules.read

local function restrictions(request)
  local list = {}
  for i = 0, tonumber(request.restriction_count) - 1 do
    local matcher = request.restrictions[i]
    list[i + 1] = ffi.string(matcher.name) .. ffi.string(C.matcher_operator(matcher.type)) ..
      ffi.string(matcher.value)
  end
  table.sort(list)
  return table.concat(list, " ")
end

local function open(body)
  local book, problem = rules.open({ ["q.lua"] = 'tide.query("rule", function(q) ' .. body ..
    ' end)' }, { time_ms = 20 })
  return (assert(book, problem))
end

describe("without query rules", function()
  it("a read goes on as it came", function()
    local request = assert(shape((rules.open ""), {}))
    assert.equal(1000000, tonumber(request.start_ms))
    assert.equal(50000000, tonumber(request.max_samples))
    assert.equal("", restrictions(request))
  end)
end)

describe("a query rule", function()
  it("sees who asks what", function()
    local book = open [[
      return tide.refuse(418, table.concat({ q.user, q.tenant, q.remote, q.dashboard, q.panel,
        q.kind, q.from, q.to, q.range, q.step, q.timeout, q.max_samples, q.max_series, q.max_points,
        q.selectors, q.subqueries, q.calls, q.longest_range, q.longest_offset }, " "))]]
    local _, status, text, code = shape(book, { user = "ann", tenant = "web", remote = "10.0.0.1:5",
      dashboard = "d", panel = "3" })
    assert.equal(418, status)
    assert.equal('ann web 10.0.0.1:5 d 3 query_range 1000 4600 3600 15 120 50000000 1000 11000 ' ..
      '0 0 0 0 0 (rule "rule")', text)
    assert.equal("denied", code)
  end)

  it("sees nil for what is not known", function()
    local book = open [[
      if q.user == nil and q.tenant == nil and q.remote == nil and q.dashboard == nil and
        q.panel == nil and q.text == nil and q.selects == nil then
        q.max_series = 7
      end]]
    assert.equal(7, tonumber(shape(book, { user = "" }).max_series))
  end)

  it("knows every kind of read by name", function()
    local names = {}
    for kind = 0, C.READ_KINDS - 1 do
      local _, _, text = shape(open "return tide.refuse(403, q.kind)", { kind = kind })
      names[#names + 1] = text:match("^%S+")
      rules.close_all()
    end
    assert.equal("query query_range series labels label_values federate export remote_read status",
      table.concat(names, " "))
  end)

  it("narrows times and bounds", function()
    local request = assert(shape(open [[
      q.from, q.to = 2000, 3000.0005
      q.step, q.timeout = "1m", 5
      q.max_samples, q.max_series, q.max_points = 5e6, 10, 99]]))
    assert.equal(2000000, tonumber(request.start_ms))
    assert.equal(3000000, tonumber(request.end_ms))
    assert.equal(60000, tonumber(request.step_ms))
    assert.equal(5000, tonumber(request.timeout_ms))
    assert.equal(5000000, tonumber(request.max_samples))
    assert.equal(10, tonumber(request.max_series))
    assert.equal(99, tonumber(request.max_points))
  end)

  it("cannot widen anything, however large the number", function()
    local request = assert(shape(open [[
      q.from, q.to = -math.huge, math.huge
      q.step, q.timeout = "1s", "1y"
      q.max_samples, q.max_series, q.max_points = 1e300, math.huge, 1e6]]))
    assert.equal(1000000, tonumber(request.start_ms))
    assert.equal(4600000, tonumber(request.end_ms))
    assert.equal(15000, tonumber(request.step_ms))
    assert.equal(120000, tonumber(request.timeout_ms))
    assert.equal(50000000, tonumber(request.max_samples))
    assert.equal(1000, tonumber(request.max_series))
    assert.equal(11000, tonumber(request.max_points))
  end)

  it("gives an instant no step", function()
    assert.equal(0, tonumber(shape(open 'q.step = "5m"', { step_ms = 0 }).step_ms))
  end)

  it("restricts by label and by selector", function()
    assert.equal("tenant=web", restrictions(shape(open "q:restrict { tenant = q.user }",
      { user = "web" })))
    assert.equal("__name__=up env!~dev.* tenant=~a|b", restrictions(shape(open
      [[q:restrict 'up{tenant=~"a|b",env!~"dev.*"}']])))
    assert.equal("a=1 a=2",
      restrictions(shape(open 'q:restrict { a = "1" } q:restrict { a = "2" }')))
  end)
end)

describe("query rules", function()
  it("all run, each on what the ones before it left, until one refuses", function()
    local book = assert(rules.open { ["q.lua"] = [[
      tide.query("a", function(q) q:restrict { a = "1" } q.max_series = 50 end)
      tide.query("b", function(q)
        if q.max_series ~= 50 then error("not narrowed") end
        if q.user == "eve" then return tide.refuse(422, "not you") end
      end)
      tide.query("c", function(q) q:restrict { c = "3" } end)]] })
    assert.equal("a=1 c=3", restrictions(shape(book, { user = "ann" })))
    local request, status, text, code = shape(book, { user = "eve" })
    assert.is_nil(request)
    assert.same({ 422, 'not you (rule "b")', "denied" }, { status, text, code })
    assert.equal(1, rules.rules(book)[3].calls)
  end)

  it("refuse when one is broken, without a word of the script", function()
    for _, body in ipairs {
      'error("secret")', "return false", "return {}", "return 403", "return { status = 200 }",
      "return setmetatable({ status = 200, text = 'x' }, {})", "q:restrict { tenant = q.user }",
      "q:restrict {}", "q:restrict { tenant = '' }", "q:restrict { tenant = 5 }", "q:restrict()",
      "q:restrict '{}'", [[q:restrict '{a=~"("}']], "q.restrict({}, { a = '1' })",
      "q.user = 'root'",
      "q.kind = 'status'", "q.max_series = nil", "q.max_series = 0/0", "q.max_series = '5'",
      "q.step = 'often'", "q.timeout = 'forever'", "return q.secret", "q:clamp_ranges '0s'",
      "return tide.refuse(200, 'fine')", "while true do end",
      "for i = 1, 1e9 do q:restrict { a = 'x' } end",
      "local t = {} while true do t[#t + 1] = {} end", "tide.query('late', function() end)",
    } do
      local request, status, text, code = shape(open(body))
      assert.is_nil(request, body)
      assert.same({ 503, 'the query rule "rule" is broken, so nothing can be read', "busy" },
        { status, text, code }, body)
      rules.close_all()
    end
  end)

  it("refuse while one is suspended, until the scripts are mended", function()
    local book, folder = rules.open({ ["q.lua"] = 'tide.query("x", function() error("x") end)' },
      { max_errors = 2 })
    for _ = 1, 4 do assert.is_nil((shape(book))) end
    assert.is_true(rules.rules(book)[1].suspended)
    assert.equal(2, rules.rules(book)[1].calls)
    rules.write(folder, { ["q.lua"] = 'tide.query("x", function(q) q:restrict { a = "b" } end)' })
    assert.is_true(rules.reload(book))
    assert.equal("a=b", restrictions(shape(book)))
  end)

  it("do not keep a query for later", function()
    local book = assert(rules.open { ["q.lua"] = [[
      local kept
      tide.query("keep", function(q) kept = q end)
      tide.retention("use", function() kept.max_series = 5 return "1d" end)]] })
    assert(shape(book))
    assert.equal("forever", (rules.keep(book, { a = "1" })))
    assert.is_truthy(rules.rules(book)[2].last_error:find(
      "a query can be read only inside the rule that got it", 1, true))
  end)

  it("may ask how many series are selected", function()
    local asked = 0
    local count = ffi.cast("uint64_t (*)(void *)", function()
      asked = asked + 1
      return SELECTS
    end)
    jit.off(shape)
    local _, status = shape(open 'if q.selects > 1e4 then return tide.refuse(422, "many") end',
      { count_series = count })
    count:free()
    assert.same({ 422, 1 }, { status, asked })
  end)
end)

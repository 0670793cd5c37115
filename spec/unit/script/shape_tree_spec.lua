-- What query rules see of a query's tree, and do to it.
local ffi = require "ffi"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = tide.load("promql/ast.h", "promql/parse.h")

after_each(rules.close_all)

local function parse(text)
  local err = tide.error()
  local tree = C.promql_parse(text, #text, nil, nil, err)
  assert(tree ~= nil, tide.text(err))
  return ffi.gc(tree, C.query_tree_free)
end

local function open(body)
  return (assert(rules.open { ["q.lua"] = 'tide.query("rule", function(q) ' .. body .. " end)" }))
end

-- The tree after the rules; nil and the refusal otherwise.
local function shaped(book, text)
  local tree = parse(text)
  local request, status, problem = rules.read(book, { tree = tree, tenant = "web" })
  if not request then return nil, status, problem end
  return tree
end

describe("a query rule", function()
  it("sees what the query asks for", function()
    local _, status, text = shaped(open [[
      return tide.refuse(400, table.concat({ q.text, q.selectors, q.subqueries, q.calls,
        q.longest_range, q.longest_offset }, " | "))]],
      "sum(rate(a[5m] offset 1h)) + max_over_time(b[2d:1m])")
    assert.equal(400, status)
    assert.equal("sum(rate(a[5m] offset 1h)) + max_over_time(b[2d:1m]) | 2 | 1 | 2 | 172800 | " ..
      '3600 (rule "rule")', text)
  end)

  it("shortens ranges and lengthens steps", function()
    local tree = assert(shaped(open [[
      if q:clamp_ranges "1h" ~= 2 or q:clamp_steps "5m" ~= 1 then error("other numbers") end]],
      "max_over_time(rate(a[5m])[2d:1m]) + rate(b[3h])"))
    local facts = ffi.new("struct query_facts")
    C.query_tree_facts(tree, facts)
    assert.equal(3600, tonumber(facts.longest_range_ns) / 1e9)
    assert.equal(300, tonumber(tree.root.binary.left.call.args[0].subquery.step.ns) / 1e9)
  end)
end)

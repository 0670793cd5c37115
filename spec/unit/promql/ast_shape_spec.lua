-- Trees as policies see and narrow them.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local promql = require "spec.support.promql"
local C = promql.C

local function line(tree)
  local buf = ffi.new("struct buf")
  C.promql_print(tree.root, buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

local function add(tree, kind, name, value)
  local err = tide.error()
  if C.query_tree_add_matcher(tree, kind, name, #name, value, #value, nil, err) == 0 then
    return true
  end
  return false, tide.text(err)
end

describe("query_tree_facts", function()
  local function facts_of(query)
    local facts = ffi.new("struct query_facts")
    C.query_tree_facts(assert(promql.parse(query)), facts)
    return facts
  end

  it("counts and finds the longest ranges and offsets", function()
    local facts = facts_of("sum(rate(a[5m] offset -2h)) / max_over_time(b[1h:1m]) + c @ 5")
    assert.equal(3, tonumber(facts.selectors))
    assert.equal(1, tonumber(facts.subqueries))
    assert.equal(2, tonumber(facts.calls))
    assert.equal(3600e9, tonumber(facts.longest_range_ns))
    assert.equal(7200e9, tonumber(facts.longest_offset_ns))
    assert.is_true(facts.has_at)
    assert.is_false(facts.has_computed_duration)
  end)

  it("says when a duration depends on the query's times", function()
    assert.is_true(facts_of("a[step()]").has_computed_duration)
    assert.is_true(facts_of("a offset range()").has_computed_duration)
    assert.is_true(facts_of("a[5m:2*step()]").has_computed_duration)
    assert.is_false(facts_of("a").has_at)
  end)
end)

describe("query_tree_add_matcher", function()
  it("restricts every selector, and what no selector names", function()
    local tree = assert(promql.parse('a + rate({x="1"}[5m]) + info(b, {y=~".*"})'))
    assert.is_true(add(tree, C.MATCH_EQUAL, "tenant", "t"))
    assert.equal('a{tenant="t"} + rate({tenant="t",x="1"}[5m]) + ' ..
      'info(b{tenant="t"}, {tenant="t",y=~".*"})', line(tree))
    assert.equal(1, tonumber(tree.everywhere.count))
    assert.equal("tenant", ffi.string(tree.everywhere.items[0].name))
  end)

  it("can be repeated and leaves the name's matcher last", function()
    local tree = assert(promql.parse("a"))
    for i = 1, 10 do assert.is_true(add(tree, C.MATCH_NOT_EQUAL, "l" .. i, "x")) end
    local selector = tree.root.selector
    assert.equal(11, tonumber(selector.matcher_count))
    assert.equal("__name__", ffi.string(selector.matchers[10].name))
    assert.equal("a", ffi.string(selector.matchers[10].value))
  end)

  it("changes nothing when the expression is bad", function()
    local tree = assert(promql.parse("a + b"))
    local ok, problem = add(tree, C.MATCH_REGEX, "x", "(")
    assert.is_false(ok)
    assert.matches("missing closing %)", problem)
    assert.equal("a + b", line(tree))
  end)
end)

describe("clamps", function()
  it("shorten ranges and lengthen steps", function()
    local tree = assert(promql.parse("rate(a[2h]) + max_over_time(rate(b[5m])[1d:1s]) + " ..
      "sum_over_time(c[step()])"))
    assert.equal(2, tonumber(C.query_tree_clamp_ranges(tree, 3600 * 1000000000LL)))
    assert.equal(1, tonumber(C.query_tree_clamp_steps(tree, 30 * 1000000000LL)))
    assert.equal("rate(a[1h]) + max_over_time(rate(b[5m])[1h:30s]) + sum_over_time(c[step()])",
      line(tree))
  end)
end)

-- What query rules do to the tree: the restriction is in every selector, whatever it stands in.
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

-- Every selector of a tree as the sorted texts of its matchers.
local function selectors_of(tree)
  local found = {}
  local function walk(expr)
    if expr.kind == C.EXPR_SELECTOR then
      local list = {}
      for i = 0, tonumber(expr.selector.matcher_count) - 1 do
        local m = expr.selector.matchers[i]
        list[i + 1] = ffi.string(m.name) .. ffi.string(C.matcher_operator(m.type)) ..
          ffi.string(m.value)
      end
      table.sort(list)
      found[#found + 1] = table.concat(list, " ")
    end
    for i = 0, tonumber(C.expr_child_count(expr)) - 1 do walk(C.expr_child(expr, i)) end
  end
  walk(tree.root)
  return found
end

local function open(body)
  return (assert(rules.open { ["q.lua"] = 'tide.query("rule", function(q) ' .. body .. " end)" }))
end

-- The selectors and the tree after the rules; nil and the refusal otherwise.
local function shaped(book, text)
  local tree = parse(text)
  local request, status, problem = rules.read(book, { tree = tree, tenant = "web" })
  if not request then return nil, status, problem end
  return selectors_of(tree), tree
end

describe("a restriction", function()
  -- How many selectors each has; adversaries want one of them to stay open.
  local queries = {
    ["up"] = 1,
    ['{__name__=~".+"}'] = 1,
    ['up{tenant="lab"}'] = 1,
    ['up{tenant!="web"}'] = 1,
    ['up{tenant=~"web|lab"}'] = 1,
    ['up{tenant=""}'] = 1,
    ["up or down"] = 2,
    ['up{tenant="web"} or {tenant="lab"}'] = 2,
    ["up @ 0"] = 1,
    ["up offset 5d"] = 1,
    ["rate(http_requests_total[5m])"] = 1,
    ["max_over_time(rate(http_requests_total[5m])[1h:1m])"] = 1,
    ["max_over_time((up or down)[1h:1m] @ end())"] = 2,
    ['count_values("tenant", up)'] = 1,
    ['label_replace(up, "tenant", "web", "", "")'] = 1,
    ['label_join(up, "tenant", "", "x")'] = 1,
    ["absent(up)"] = 1,
    ["absent_over_time(up[5m])"] = 1,
    ["topk(scalar(count(up)), down)"] = 2,
    ["quantile(scalar(x), y)"] = 2,
    ["sum by (tenant) (up)"] = 1,
    ["up * on (instance) group_left (tenant) info_metric"] = 2,
    ["up unless on () vector(1)"] = 1,
    ["-(((up)))"] = 1,
    ["vector(scalar(up)) + time()"] = 1,
    ["sort_desc(histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m]))))"] = 1,
    ["a == bool b > c ^ d % e"] = 5,
    ["clamp(a, scalar(b), scalar(c))"] = 3,
  }

  for query, selectors in pairs(queries) do
    it("is in every selector of " .. query, function()
      local found = assert(shaped(open "q:restrict { tenant = q.tenant }", query))
      assert.equal(selectors, #found)
      for _, matchers in ipairs(found) do
        assert.is_truthy((" " .. matchers .. " "):find(" tenant=web ", 1, true), matchers)
      end
    end)
  end

  it("holds for the info series that no selector names", function()
    local _, tree = shaped(open "q:restrict { tenant = q.tenant }", "info(up)")
    assert.equal(1, tonumber(tree.everywhere.count))
    assert.equal("tenant", ffi.string(tree.everywhere.items[0].name))
    assert.equal("web", ffi.string(tree.everywhere.items[0].value))
  end)

  it("of several rules is their conjunction", function()
    assert.same({ "__name__=up env!~prod.* team=a tenant=web" }, (shaped(open [[
      q:restrict { tenant = q.tenant } q:restrict '{env!~"prod.*",team="a"}']], "up")))
  end)

  it("is not applied by halves when a later rule refuses", function()
    local book = assert(rules.open { ["q.lua"] = [[
      tide.query("a", function(q) q:restrict { a = "1" } end)
      tide.query("b", function() return tide.refuse(403, "no") end)]] })
    local tree = parse "up"
    assert.is_nil((rules.read(book, { tree = tree })))
    assert.same({ "__name__=up" }, selectors_of(tree))
  end)
end)

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
    local _, tree = assert(shaped(open [[
      if q:clamp_ranges "1h" ~= 2 or q:clamp_steps "5m" ~= 1 then error("other numbers") end]],
      "max_over_time(rate(a[5m])[2d:1m]) + rate(b[3h])"))
    local facts = ffi.new("struct query_facts")
    C.query_tree_facts(tree, facts)
    assert.equal(3600, tonumber(facts.longest_range_ns) / 1e9)
    assert.equal(300, tonumber(tree.root.binary.left.call.args[0].subquery.step.ns) / 1e9)
  end)
end)

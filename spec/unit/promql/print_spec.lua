-- The text forms of trees (promql.md 8), and what precedence and literals mean (3, 4).
local cjson = require "cjson"
local promql = require "spec.support.promql"

local function prints(query, text)
  it(("prints %s"):format(query), function()
    assert.equal(text or query, promql.line(query))
    assert.equal(text or query, promql.line(text or query))
  end)
end

describe("numbers", function()
  prints("1e21", "1000000000000000000000")
  prints("1e-7", "0.0000001")
  prints("0xff", "255")
  prints("0X_1F", "31")
  prints("010", "8")
  prints("0644", "420")
  prints("0_7", "7")
  prints("08", "8")
  prints("1_000.5", "1000.5")
  prints("1_0e1_0", "100000000000")
  prints("9223372036854775808", "9223372036854776000")
  prints("inf", "+Inf")
  prints("-Inf")
  prints("NaN")
  prints("-0")
  prints("- -1", "1")
  prints("0xe", "14")
  prints("-5m")
  prints("1h30m")
  prints("7d", "1w")
  prints("8d")
  prints("1w1d", "8d")
  prints("365d", "1y")
  prints("90s", "1m30s")
end)

describe("operators", function()
  prints("-1 ^ 2")
  prints("2 ^ 3 ^ 2")
  prints("a+b*c", "a + b * c")
  prints("++b")
  prints("-(a + b)")
  prints("a > BOOL 5", "a > bool 5")
  prints("a > on() 5", "a > 5")
  prints("a AND b", "a and b")
  prints("a </ 5")
  prints("a + fill_left(-2) fill_right(3e6) b", "a + fill_left (-2) fill_right (3e+06) b")
  prints("fill + fill(0) other", "fill + fill (0) other")
  prints("a == bool ignoring(x) group_right() b", "a == bool ignoring (x) group_right () b")
  prints("a + on(by, 'x y') b", 'a + on (by, "x y") b')
end)

describe("selectors", function()
  prints("SUM{}", "SUM")
  prints("offset offset 5m")
  prints("by{a='b'}", 'by{a="b"}')
  prints("and and and and and")
  prints('{"a"}', '{__name__="a"}')
  prints('{__name__!="x",a="b"}')
  prints('a{z="1",b!="2"}', 'a{b!="2",z="1"}')
  prints('{"a.b"="\\xc5z"}', '{"a.b"="\\xc5z"}')
  prints("a offset 0s offset 1m", "a offset 1m")
  prints("a offset -90s", "a offset -1m30s")
  prints("a offset 2.5", "a offset 2s500ms")
  prints("a @ 1.5 offset 50s", "a @ 1.500 offset 50s")
  prints("a offset 50s @ 1.5", "a @ 1.500 offset 50s")
  prints("a smoothed @ 5", "a @ 5.000 smoothed")
  prints("a anchored[5m] @ 5", "a[5m] anchored @ 5.000")
  prints("a[5]", "a[5s]")
  prints("a[1e3:15]", "a[16m40s:15s]")
  prints("a offset 1m [5m:1m]", "a offset 1m[5m:1m]")
  prints("a[5m:]@end() offset 5", "a[5m:] @ end() offset 5s")
end)

describe("durations", function()
  prints("a[2m*15]", "a[2m * 15]")
  prints("a[-(5m ^ 2)+STEP()]", "a[-(5m ^ 2) + step()]")
  prints("a[Max_Of(1, 2)]", "a[max_of(1, 2)]")
  prints("a offset 100 + 2", "a offset 1m40s + 2")
  prints("a offset -2 ^ 2", "a offset -2s ^ 2")
  prints("a offset step() * 2", "a offset step() * 2")
  prints("a offset (5) + 2", "a offset (5) + 2")
  prints("a offset (5) > 2", "a offset (5) > 2")
  prints("a[1*step():1m]", "a[1 * step():1m]")

  it("go on behind a parenthesised offset only", function()
    local function kind_of(query)
      return tonumber(assert(promql.parse(query)).root.kind)
    end
    assert.equal(tonumber(promql.C.EXPR_SELECTOR), kind_of("a offset (5) + 2"))
    assert.equal(tonumber(promql.C.EXPR_BINARY), kind_of("a offset (5) > 2"))
    assert.equal(tonumber(promql.C.EXPR_BINARY), kind_of("a offset -(5) + 2"))
    assert.equal(tonumber(promql.C.EXPR_BINARY), kind_of("a offset step() * 2"))
  end)
end)

describe("aggregations and calls", function()
  prints("SUM by () (x)", "sum(x)")
  prints("sum(x) by (a, b)", "sum by (a, b) (x)")
  prints("topk by (a) (5, x)", "topk by (a) (5, x)")
  prints("count_values('v', x)", 'count_values("v", x)')
  prints("round(x,5)", "round(x, 5)")
  prints("time()")
end)

describe("positions", function()
  it("are bytes of the query", function()
    local tree = assert(promql.parse("  - foo + sum(bar) by (x) # end"))
    assert.equal(2, tree.root.start)
    assert.equal(25, tree.root["end"])
    assert.equal(10, tree.root.binary.right.start)
    assert.equal(8, tree.root.binary.op_start)
  end)
end)

describe("the pretty form", function()
  local a, b = ("a"):rep(60), ("b"):rep(60)

  it("breaks long operators and indents their operands", function()
    local query = ("sum by (x) (rate(%s[5m])) / on(x) group_left(y) sum(rate(%s[5m])) > bool 5")
      :format(a, b)
    assert.equal(([[
    sum by (x) (rate(%s[5m]))
  / on (x) group_left (y)
    sum(rate(%s[5m]))
> bool
  5]]):format(a, b), promql.pretty(query))
  end)

  it("breaks long aggregations and calls", function()
    assert.equal(([[
topk by (x) (
  5,
  round(
      %s
    +
      %s,
    5
  )
)]]):format(a, b), promql.pretty(("topk(5, round(%s+%s,5)) by (x)"):format(a, b)))
  end)

  it("puts a sign in front of a long operand", function()
    assert.equal(([[
-(
    %s
  +
    %s
)]]):format(a, b), promql.pretty(("-(%s+%s)"):format(a, b)))
  end)

  it("keeps the tail of a long subquery behind it", function()
    assert.equal(([[
(
    %s
  +
    %s
)[5m:1m] @ 5.000 offset 1m]]):format(a, b),
      promql.pretty(("(%s+%s)[5m:1m] offset 1m @ 5"):format(a, b)))
  end)
end)

describe("the tree as JSON", function()
  it("has upstream's members", function()
    local tree = cjson.decode(promql.json('sum by (a) (rate(x{b="\\xff"}[5m] offset 1m)) > bool 2'))
    assert.equal("binaryExpr", tree.type)
    assert.is_true(tree.bool)
    assert.equal("2", tree.rhs.val)
    assert.equal("aggregation", tree.lhs.type)
    assert.same({ "a" }, tree.lhs.grouping)
    assert.equal("rate", tree.lhs.expr.func.name)
    assert.same({ "matrix" }, tree.lhs.expr.func.argTypes)
    local range = tree.lhs.expr.args[1]
    assert.equal("matrixSelector", range.type)
    assert.equal(300000, range.range)
    assert.equal(60000, range.offset)
    assert.equal("x", range.name)
    assert.same({ name = "b", type = "=", value = "\239\191\189" }, range.matchers[1])
  end)

  it("is JSON for every kind of node", function()
    local tree = cjson.decode(promql.json(
      'label_replace(-(a @ start() + on(x) group_left(y) fill(1) b), "\\n", "", "", "")'))
    assert.equal("unaryExpr", tree.args[1].type)
    local binary = tree.args[1].expr.expr
    assert.equal("start", binary.lhs.startOrEnd)
    assert.equal("many-to-one", binary.matching.card)
    assert.equal("1", binary.matching.fillValues.lhs)
    assert.equal("\n", tree.args[2].val)
    assert.equal("subquery", cjson.decode(promql.json("x[5m:1m]")).type)
  end)
end)

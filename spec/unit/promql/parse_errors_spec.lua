-- Refused queries: upstream's texts and positions, from the rules of promql.md 3 to 7.
local promql = require "spec.support.promql"

-- { query, position, text }
local lexer = {
  { "foo $ bar", "1:5", "unexpected character: '$'" },
  { "foo }", "1:5", "unexpected character: '}'" },
  { "foo\n + \1", "2:4", "unexpected character: '\\x01'" },
  { "foo + \226\128\139", "1:7", "unexpected character: '\\u200b'" },
  { "\255", "1:1", "unexpected character: '\239\191\189'" },
  { "a ! b", "1:3", "unexpected character after '!': ' '" },
  { "a !", "1:3", "unexpected character after '!': '\239\191\189'" },
  { "foo[5m", "1:7", "unclosed left bracket" },
  { "(foo[5m", "1:8", "unclosed left parenthesis" },
  { "foo]", "1:4", "unexpected right bracket ']'" },
  { "foo[5m[", "1:7", "unexpected left bracket '['" },
  { "foo[5m:1m:1m]", "1:10", "unexpected colon ':'" },
  { "foo[5m y]", "1:8", "unexpected character: 'y', expected ':'" },
  { "foo[", "1:5", "unexpected end of input in duration expression" },
  { "foo[ x]", "1:6", "unexpected character in duration expression: 'x'" },
  { "foo[# 5m]", "1:5", "unexpected character in duration expression: '#'" },
  { "foo[step():1m]", "1:12", "unexpected colon before duration in duration expression" },
  { "foo[5m] + foo[step()::1m]", "1:23", "unexpected repeated colon in duration expression" },
  { "foo{", "1:5", "unexpected end of input inside braces" },
  { "foo{a!b}", "1:6", "unexpected character after '!' inside braces: 'b'" },
  { "foo{{", "1:5", "unexpected left brace '{'" },
  { "foo{5=\"x\"}", "1:5", "unexpected character inside braces: '5'" },
  { "foo{\195\164=\"x\"}", "1:5", "unexpected character inside braces: '\195\164'" },
  { "\"abc\ndef\"", "1:1", "unterminated quoted string" },
  { "`abc", "1:1", "unterminated raw string" },
  { "'\\\"'", "1:1", "unknown escape sequence U+0022 '\"'" },
  { "\"\\", "1:1", "escape sequence not terminated" },
  { "\"\\x4\"", "1:1", "illegal character U+0022 '\"' in escape sequence" },
  { "\"\\ud800\"", "1:1", "escape sequence is an invalid Unicode code point" },
  { "\"\\U00110000\"", "1:1", "escape sequence is an invalid Unicode code point" },
  { "\"\\400\"", "1:1", "escape sequence is an invalid Unicode code point" },
  { "\"\255\"", "1:1", "invalid UTF-8 rune" },
  { "1 + 123abc", "1:5", 'bad number or duration syntax: "123"' },
  { "0b11", "1:1", 'bad number or duration syntax: "0"' },
  { "1e400", "1:1",
    'error parsing number: strconv.ParseFloat: parsing "1e400": value out of range' },
  { "foo[3d2hs]", "1:5", 'unknown unit "hs" in duration "3d2hs"' },
  { "1000y", "1:1", "duration out of range" },
}

local grammar = {
  { "foo bar", "1:5", 'unexpected identifier "bar"' },
  { "foo a:b", "1:5", 'unexpected metric identifier "a:b"' },
  { "foo 5", "1:5", 'unexpected number "5"' },
  { "foo 5m", "1:5", 'unexpected duration "5m"' },
  { 'foo "abc"', "1:5", 'unexpected string "\\"abc\\""' },
  { 'foo "abcdefghijk"', "1:5", 'unexpected string "\\"abcdefghi"...' },
  { "foo = bar", "1:5", 'unexpected "="' },
  { "on", "1:1", "unexpected <on>" },
  { "a + on(x) Bool b", "1:11", "unexpected <Bool>" },
  { "foo sum", "1:5", "unexpected <aggr:sum>" },
  { "foo start", "1:5", 'unexpected "start"' },
  { "sum by (a) AND", "1:12", "unexpected <op:AND> in aggregation" },
  { "bool", "1:1", "unexpected <bool>" },
  { "sum by (a) foo", "1:12", 'unexpected identifier "foo" in aggregation' },
  { "sum(x y)", "1:7", 'unexpected identifier "y" in aggregation' },
  { "sum(abs(x y))", "1:11", 'unexpected identifier "y" in aggregation' },
  { "abs(x y)", "1:7", 'unexpected identifier "y"' },
  { "sum(x) + abs(x y)", "1:16", 'unexpected identifier "y"' },
  { "sum by (a b) (x)", "1:11", 'unexpected identifier "b" in grouping opts, expected "," or ")"' },
  { "sum by (a,,) (x)", "1:11", 'unexpected "," in grouping opts, expected label' },
  { "a + on b", "1:8", 'unexpected identifier "b" in grouping opts, expected "("' },
  { "sum by (inf) (x)", "1:9", 'unexpected number "inf" in grouping opts, expected label' },
  { 'foo{a="b" c="d"}', "1:11",
    'unexpected identifier "c" in label matching, expected "," or "}"' },
  { 'foo{a=b}', "1:7", 'unexpected identifier "b" in label matching, expected string' },
  { 'foo{a "b"}', "1:7",
    'unexpected string "\\"b\\"" in label matching, expected label matching operator' },
  { 'foo{a="b",,}', "1:11", 'unexpected "," in label matching, expected identifier or "}"' },
  { "foo offset bar", "1:12",
    'unexpected identifier "bar" in offset, expected number, duration, step(), or range()' },
  { "foo @ bar", "1:7", 'unexpected identifier "bar" in @, expected timestamp' },
  { "foo @ (5)", "1:7", 'unexpected "(" in @, expected timestamp' },
  { "foo @ start", "1:12", "unexpected end of input in @, expected timestamp" },
  { "foo[5m 5m]", "1:8", 'unexpected duration "5m" in subquery or range, expected ":" or "]"' },
  { "foo[5m:1m 1m]", "1:11", 'unexpected duration "1m" in subquery selector, expected "]"' },
  { "foo[5m:,]", "1:8", 'unexpected "," in subquery selector, expected number, duration, ' ..
    'step(), range(), or "]"' },
  { "foo[(5m]", "1:8", 'unexpected "]" in subquery or range selector, expected number, ' ..
    "duration, step(), or range()" },
  { "abs(x,)", "1:6", "trailing commas not allowed in function call args" },
  { 'sum by ("") (x)', "1:9", 'invalid label name for grouping: ""' },
  { "Rate(x[5m])", "1:1", 'unknown function with name "Rate"' },
  { "nosuch() $", "1:1", 'unknown function with name "nosuch"' },
  { "sum() $", "1:7", "unexpected character: '$'" },
  { "(a)[5m]", "1:4", "ranges only allowed for vector selectors" },
  { "(a) offset 5m", "1:1", "offset modifier must be preceded by an instant vector selector or " ..
    "range vector selector or a subquery" },
  { "(a) @ 5", "1:1", "@ modifier must be preceded by an instant vector selector or range " ..
    "vector selector or a subquery" },
  { "b + a offset 1m offset 1m", "1:5", "offset may not be set multiple times" },
  { "a @ 1 @ 2", "1:1", "@ <timestamp> may not be set multiple times" },
  { "a @ inf", "1:1", "timestamp out of bounds for @ modifier: +Inf" },
  { "a anchored smoothed", "1:1", "anchored and smoothed modifiers cannot be used together" },
  { "a[5m:] anchored", "1:1", "anchored modifier is not supported for subqueries" },
  { "sum(a) smoothed", "1:1", "smoothed modifier not implemented" },
  { "foo[0]", "1:5", "duration must be greater than 0" },
  { "foo offset -9.5e10", "1:12", "duration out of range" },
  { 'foo{a=~"("}', "1:5", "error parsing regexp: missing closing ): `(`" },
  { 'foo{a=~"*"}', "1:5",
    "error parsing regexp: missing argument to repetition operator: `*`" },
  { 'foo{a=~"a{2000}"}', "1:5", "error parsing regexp: invalid repeat count: `{2000}`" },
  { 'foo{a=~"[b-a]"}', "1:5", "error parsing regexp: invalid character class range: `b-a`" },
}

local types = {
  { "sum(1)", "1:5", "expected type instant vector in aggregation expression, got scalar" },
  { "sum(rate(x))", "1:10",
    'expected type range vector in call to function "rate", got instant vector' },
  { "1 == 1", "1:3", "comparisons between scalars must use BOOL modifier" },
  { "a / on(x) group_left(x) b", "1:3",
    'label "x" must not occur in ON and GROUP clause at once' },
  { '1 + "a"', "1:5", "binary expression must contain only scalar and instant vector types" },
  { "a[5m] + 1", "1:1", "binary expression must contain only scalar and instant vector types" },
  { "a + ignoring(x) 5", "1:1", "vector matching only allowed between instant vectors" },
  { "a + fill(0) 5", "1:1", "filling in missing series only allowed between instant vectors" },
  { "a and fill(0) b", "1:1", "filling in missing series not allowed for set operators" },
  { "round()", "1:1", 'expected at least 1 argument(s) in call to "round", got 0' },
  { "round(a, 1, 2)", "1:1", 'expected at most 2 argument(s) in call to "round", got 3' },
  { "label_join(a)", "1:1", 'expected at least 3 argument(s) in call to "label_join", got 1' },
  { 'label_join(a, "b", "c", 5)', "1:25",
    'expected type string in call to function "label_join", got scalar' },
  { "info(a, 5)", "1:1", 'expected type instant vector in call to function "info", got scalar' },
  { "info(a, b)", "1:9", "expected label selectors only, got vector selector instead" },
  { "-a[5m:]", "1:1", "unary expression only allowed on expressions of type scalar or instant " ..
    'vector, got "range vector"' },
  { "5[5m:]", "1:1", "subquery is only allowed on instant vector, got scalar instead" },
  { 'foo{"bar"}', "1:1", 'metric name must not be set twice: "foo" or "bar"' },
  { '{a=~"x|"}', "1:1", "vector selector must contain at least one non-empty matcher" },
  { "\n\n  1 == 1", "3:5", "comparisons between scalars must use BOOL modifier" },
}

local function refused(name, cases)
  describe(name, function()
    for _, case in ipairs(cases) do
      it("refuses " .. case[1], function()
        assert.equal(case[2] .. ": parse error: " .. case[3], promql.error_of(case[1]))
      end)
    end
  end)
end

refused("the lexer", lexer)
refused("the grammar", grammar)
refused("the checker", types)

describe("nesting", function()
  local too_deep = "^1:%d+: parse error: expression is nested deeper than 1000 levels$"

  it("has a limit for whatever can nest", function()
    for _, piece in ipairs { "(", "-", "sum(", "abs(", "2^", "1+", "a+on()" } do
      assert.matches(too_deep, promql.error_of(piece:rep(math.floor(1000000 / #piece))))
    end
    assert.matches(too_deep, promql.error_of("a" .. ("[5m:]"):rep(100000)))
    assert.matches(too_deep, promql.error_of("foo[5m" .. ("+5m"):rep(100000) .. "]"))
    assert.matches(too_deep, promql.error_of("foo offset " .. ("("):rep(100000)))
    assert.matches(too_deep, promql.error_of("foo[" .. ("("):rep(100000)))
  end)

  it("allows what people and their programs write", function()
    assert.is_true(promql.parse(("a or "):rep(900) .. "b") ~= nil)
    assert.is_true(promql.parse(("("):rep(300) .. "a" .. (")"):rep(300)) ~= nil)
  end)
end)

describe("regular expressions", function()
  it("have a bound on what they cost together", function()
    local query = "a{" .. ('b=~".{1000}",'):rep(1000) .. "}"
    assert.matches("^1:%d+: parse error: the regular expressions of the query are too large " ..
      "together$", promql.error_of(query))
    assert.is_true(promql.parse("a{" .. ('b=~"c.*|d.+",'):rep(5000) .. "}") ~= nil)
  end)
end)

describe("options", function()
  local function off(option, text) return promql.error_of(text, { [option] = true }) end

  it("turn parts of the language off", function()
    assert.equal('1:1: parse error: function "limit" is not enabled',
      (off("no_experimental_functions", "step()"):gsub("step", "limit")))
    assert.equal("1:1: parse error: limitk() is experimental and must be enabled with " ..
      "--enable-feature=promql-experimental-functions",
      off("no_experimental_functions", "limitk(1, a)"))
    assert.matches("experimental duration expression is not enabled$",
      off("no_duration_expressions", "a[5m+1m]"))
    assert.matches("experimental duration expression is not enabled$",
      off("no_duration_expressions", "a offset step()"))
    assert.matches("anchored modifier is experimental and not enabled$",
      off("no_extended_ranges", "a[5m] anchored"))
    assert.matches("binop fill modifiers are experimental and not enabled$",
      off("no_fill", "a + fill(0) b"))
    assert.matches("@ modifier is disabled$", off("no_at", "a @ 5"))
    assert.matches("negative offset is disabled$", off("no_negative_offset", "a offset -5m"))
  end)

  it("leave the rest of the language on", function()
    local all = { no_experimental_functions = true, no_duration_expressions = true,
      no_extended_ranges = true, no_fill = true, no_at = true, no_negative_offset = true }
    assert.is_true(promql.parse("sum by (a) (rate(b[5m] offset 1h)) / ignoring(c) d", all) ~= nil)
  end)
end)

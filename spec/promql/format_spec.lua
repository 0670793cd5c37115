-- The text form of queries, as upstream's format_query gives it.
local conformance = require "spec.support.conformance"
local promql = require "spec.support.promql"

describe("format_query", function()
  local cases = conformance.json("format_cases.json")
  if not cases then
    pending(conformance.missing)
    return
  end

  it("has cases", function() assert.is_true(#cases > 40) end)

  for i, case in ipairs(cases) do
    it(("prints case %d: %s"):format(i, case.input), function()
      assert.equal(case.formatted, promql.line(case.input))
      assert.equal(case.formatted, promql.pretty(case.input))
      assert.equal(case.formatted, promql.line(case.formatted))
    end)
  end
end)

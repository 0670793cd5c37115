-- Every query of the conformance material parses, or is refused with upstream's text and position.
local conformance = require "spec.support.conformance"
local promql = require "spec.support.promql"

describe("the parser", function()
  local cases = conformance.json("parse_cases.json")
  if not cases then
    pending(conformance.missing)
    return
  end

  it("has cases", function() assert.is_true(#cases > 200) end)

  for i, case in ipairs(cases) do
    if case.ok then
      it(("accepts case %d: %s"):format(i, case.input), function()
        local tree, problem = promql.parse(case.input)
        assert.is_nil(problem)
        assert.is_true(tree ~= nil)
      end)
    else
      it(("refuses case %d: %s"):format(i, case.input), function()
        assert.equal(case.position .. ": parse error: " .. case.error, promql.error_of(case.input))
      end)
    end
  end
end)

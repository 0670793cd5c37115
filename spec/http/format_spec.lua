-- Queries laid out and taken apart over HTTP.
local conformance = require "spec.support.conformance"
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local escape = server.escape

describe("queries as text", function()
  local tidemark, folder

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(folder)
  end)

  local function ask(route, query)
    local answer = tidemark:request("GET", "/api/v1/" .. route .. "?query=" .. escape(query))
    return json.decode(answer.body), answer.status
  end

  it("are formatted", function()
    local answer, status = ask("format_query", 'sum(rate(a{c="\228\189\160",b!="\\n"}[60]))by(x)')
    assert.equal(200, status)
    assert.equal("success", answer.status)
    assert.equal('sum by (x) (rate(a{b!="\\n",c="\228\189\160"}[1m]))', answer.data)
  end)

  it("are parsed", function()
    local answer, status = ask("parse_query", "-foo offset 1m")
    assert.equal(200, status)
    assert.equal("unaryExpr", answer.data.type)
    assert.equal(60000, answer.data.expr.offset)
  end)

  it("are refused with position and parameter", function()
    for _, route in ipairs { "format_query", "parse_query" } do
      local answer, status = ask(route, "foo + (")
      assert.equal(400, status)
      assert.equal("bad_data", answer.errorType)
      assert.equal('invalid parameter "query": 1:8: parse error: unclosed left parenthesis',
        answer.error)
    end
  end)

  local cases = conformance.json("format_cases.json")
  if not cases then
    pending(conformance.missing)
    return
  end
  it("are formatted as upstream does", function()
    for _, case in ipairs(cases) do
      assert.equal(case.formatted, ask("format_query", case.input).data)
    end
  end)
end)

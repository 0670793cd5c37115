-- Parsing and printing of PromQL through the library, for specs.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("promql/parse.h", "promql/print.h")

local promql = { C = C }

-- A tree, or nil and the error's text. Options: a table of struct promql_options' fields.
function promql.parse(text, options)
  local err = tide.error()
  local wanted = options and ffi.new("struct promql_options", options) or nil
  local tree = C.promql_parse(text, #text, wanted, nil, err)
  if tree == nil then return nil, tide.text(err) end
  return ffi.gc(tree, C.query_tree_free)
end

function promql.error_of(text, options)
  local tree, problem = promql.parse(text, options)
  assert(tree == nil, "should be refused: " .. text)
  return problem
end

local function text_of(print, text)
  local tree = assert(promql.parse(text))
  local buf = ffi.new("struct buf")
  print(tree.root, buf)
  local result = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return result
end

function promql.line(text) return text_of(C.promql_print, text) end
function promql.pretty(text) return text_of(C.promql_pretty, text) end
function promql.json(text) return text_of(C.promql_print_json, text) end

return promql

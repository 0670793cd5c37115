-- Lists of records as people read them: a table with a column for each field.
--
-- Trusted; looks at tables raw and calls nothing of operator code.

local format, rep = string.format, string.rep
local gmatch, gsub, match = string.gmatch, string.gsub, string.match

local MAX_COLUMNS, MAX_CELL, MAX_ROWS = 20, 120, 1000

local rows = {}

-- List -> its columns in order: "name", or "name@time" for seconds since 1970.
local marked = setmetatable({}, { __mode = "k" })

--- Says in which order a list's fields are shown; the list.
---@param columns string names with blanks between; others are not shown
function rows.mark(list, columns)
  marked[list] = columns
  return list
end

--- Whether somebody has said how a list is shown.
function rows.is_marked(list) return marked[list] ~= nil and next(list) ~= nil end

local function is_plain(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "boolean"
end

-- Every item a table of plain values by name: the names, sorted.
local function fields_of(list)
  local names, seen = {}, {}
  local count = 0
  for key, record in next, list do
    if type(key) ~= "number" or type(record) ~= "table" or next(record) == nil then return nil end
    for name, value in next, record do
      if type(name) ~= "string" or not is_plain(value) then return nil end
      if not seen[name] then
        seen[name], names[#names + 1] = true, name
      end
    end
    count = count + 1
  end
  if count == 0 or count ~= #list or #names > MAX_COLUMNS then return nil end
  table.sort(names)
  return names
end

-- What is shown of a list: { { name, kind } }; nil: it is no list of records.
local function columns_of(list)
  local names = fields_of(list)
  if rows.is_marked(list) then
    names = {}
    for name in gmatch(marked[list], "%S+") do names[#names + 1] = name end
  end
  if not names then return nil end
  local columns = {}
  for i, name in ipairs(names) do
    local plain, kind = match(name, "^([^@]*)@?(.*)$")
    columns[i] = { name = plain, kind = kind }
  end
  return columns
end

local function cell(pretty, column, value)
  if value == nil then return "" end
  if column.kind == "time" and type(value) == "number" then return pretty.time(value) end
  if type(value) == "number" then return pretty.number(value) end
  if type(value) == "table" then return pretty.series_name(value) end
  if not is_plain(value) then return type(value) end
  local text = gsub(tostring(value), "%c", " ")
  if #text > MAX_CELL then text = text:sub(1, MAX_CELL - 3) .. "..." end
  return text
end

-- Terminals count characters, not bytes.
local function width_of(text) return #text - select(2, gsub(text, "[\128-\191]", "")) end

-- A column that no row has is not shown.
local function is_used(list, name)
  for _, record in ipairs(list) do if rawget(record, name) ~= nil then return true end end
  return false
end

local function used_columns(list, columns)
  local used = {}
  for _, column in ipairs(columns) do
    if is_used(list, column.name) then
      column.width, column.right = width_of(column.name), true
      used[#used + 1] = column
    end
  end
  return used
end

local function render(cells, columns)
  local parts = {}
  for i, column in ipairs(columns) do
    local gap = rep(" ", column.width - width_of(cells[i]))
    parts[i] = column.right and gap .. cells[i] or cells[i] .. gap
  end
  return (gsub(table.concat(parts, "  "), "%s+$", "")) .. "\n"
end

--- Puts the list as a table; false: it is no list of records.
---@param pretty table number, time and series_name
function rows.put(out, list, pretty)
  local columns = columns_of(list)
  if not columns then return false end
  columns = used_columns(list, columns)
  local lines = {}
  for i = 1, math.min(#list, MAX_ROWS) do
    lines[i] = {}
    for k, column in ipairs(columns) do
      local value = rawget(rawget(list, i), column.name)
      lines[i][k] = cell(pretty, column, value)
      column.width = math.max(column.width, width_of(lines[i][k]))
      if value ~= nil and (type(value) ~= "number" or column.kind == "time") then
        column.right = false
      end
    end
  end
  local names = {}
  for i, column in ipairs(columns) do names[i] = column.name end
  out.put(render(names, columns))
  for _, cells in ipairs(lines) do
    out.put(render(cells, columns))
    if out.full() then return true end
  end
  if #list > MAX_ROWS then out.put(format("... and %d more\n", #list - MAX_ROWS)) end
  return true
end

return rows

-- Bars as SVG, readable on light and dark pages.
local chart = {}

local colours = { "#0a7f8c", "#b9770e", "#8e5ea2" }
local LEFT, WIDTH, BAR, GAP, TOP = 12, 760, 14, 34, 34

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
    ['"'] = "&quot;" }))
end

--- One group of bars a row, each relative to the largest of its row: shorter is better.
---@param rows table list of { key, title, format }
---@param names table list of servers
---@param result table by name and key
---@return string svg
function chart.bars(rows, names, result)
  local out, y = {}, TOP
  local function put(...) out[#out + 1] = (...):format(select(2, ...)) end
  for i, name in ipairs(names) do
    local x = LEFT + (i - 1) * 170
    put('<rect x="%d" y="10" width="12" height="12" fill="%s"/>', x, colours[i])
    put('<text x="%d" y="21">%s</text>', x + 18, escape(name))
  end
  for _, row in ipairs(rows) do
    local largest = 0
    for _, name in ipairs(names) do largest = math.max(largest, result[name][row[1]] or 0) end
    if largest > 0 then
      y = y + 20
      put('<text x="%d" y="%d" class="title">%s</text>', LEFT, y, escape(row[2]))
      y = y + 6
      for i, name in ipairs(names) do
        local value = result[name][row[1]]
        if value then
          local width = math.max(2, value / largest * (WIDTH - 110))
          put('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>', LEFT, y, width, BAR - 2,
            colours[i])
          put('<text x="%.1f" y="%d">%s</text>', LEFT + width + 6, y + BAR - 4,
            row[3]:format(value))
          y = y + BAR
        end
      end
      y = y + GAP - 20
    end
  end
  return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" ' ..
    'font-size="12"><style>text{fill:#333}.title{font-weight:bold}@media (prefers-color-scheme:' ..
    'dark){text{fill:#ddd}}</style>\n%s\n</svg>\n'):format(WIDTH + 24, y + 10,
    table.concat(out, "\n"))
end

return chart

-- Rules whose answer changes with time or use, while nothing says for how long it holds: for the
-- warnings of `tidemark check`.
--
-- Looks at the tokens of a source, at functions that stand where they are registered.

local positions = require "tidemark.positions"

local format = string.format

local OPENS = { ["("] = true, ["{"] = true, ["["] = true }
local CLOSES = { [")"] = true, ["}"] = true, ["]"] = true }
local ENDS = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true }
local TIMES = { now = true, ago = true }
local USES = { last_read = true, reads = true }

local function is(token, text) return token and token.kind == "symbol" and token.text == text end
local function is_name(token, text) return token and token.kind == "name" and token.text == text end

-- Of the call whose parenthesis stands at `i`: where it ends.
local function call_end(tokens, i)
  local depth = 0
  repeat
    local text = tokens[i].kind == "symbol" and tokens[i].text
    if OPENS[text] then depth = depth + 1 elseif CLOSES[text] then depth = depth - 1 end
    i = i + 1
  until depth == 0 or tokens[i].kind == "end"
  return i - 1
end

-- What the tokens read that changes by itself: "tide.ago", "last_read"; nil: nothing.
local function dated(tokens, from, to)
  for i = from, to do
    if is(tokens[i], ".") and tokens[i + 1].kind == "name" then
      local field = tokens[i + 1].text
      if is_name(tokens[i - 1], "tide") and TIMES[field] then return "tide." .. field end
      if USES[field] and not is_name(tokens[i - 1], "labels") then return field end
    end
  end
end

-- Whether a return gives a second value.
local function says_validity(tokens, from, to)
  local depth, returns = 0, false
  for i = from, to do
    local text = tokens[i].kind == "symbol" and tokens[i].text
    if text == "return" then
      depth, returns = 0, true
    elseif returns and ENDS[text] then
      returns = false
    elseif OPENS[text] then
      depth = depth + 1
    elseif CLOSES[text] then
      depth = depth - 1
    elseif returns and depth == 0 and text == "," then
      return true
    end
  end
  return false
end

--- Warnings about a source, one "warning: FILE:LINE: text" each.
---@return string[]
return function(source, file)
  local tokens, warnings = positions.tokens(source), {}
  for i = 1, #tokens - 3 do
    local hook = is_name(tokens[i], "tide") and is(tokens[i + 1], ".") and tokens[i + 2].text
    if (hook == "retention" or hook == "admit") and is(tokens[i + 3], "(") then
      local to = call_end(tokens, i + 3)
      local what = dated(tokens, i + 4, to)
      if what and hook == "admit" then
        warnings[#warnings + 1] = format("warning: %s:%d: this admission reads %s, but is asked " ..
          "once for each series, and again after a reload only", file, tokens[i].line, what)
      elseif what and not says_validity(tokens, i + 4, to) then
        warnings[#warnings + 1] = format("warning: %s:%d: this retention reads %s, and does not " ..
          'say how long its answer is valid (a second value, as in: return "30d", "6h"): it is ' ..
          "asked again each hour", file, tokens[i].line, what)
      end
    end
  end
  return warnings
end

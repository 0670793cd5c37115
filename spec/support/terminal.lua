-- A real terminal for specs: tmux on a socket of its own, keys in, the screen out.
local process = require "spec.support.process"

local terminal = {}
terminal.__index = terminal

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function run(command)
  local pipe = io.popen(command .. " 2>&1")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

function terminal.available() return os.execute("command -v tmux >/dev/null 2>&1") == 0 end

--- Runs a shell command in a terminal of the given size; `environment` is put in front of it.
function terminal.open(command, columns, rows)
  local self = setmetatable({ folder = process.folder() }, terminal)
  self.tmux = "tmux -f /dev/null -S " .. self.folder .. "/socket "
  -- The window stays when the command has ended, with its exit status on the screen.
  run(self.tmux .. ("new-session -d -x %d -y %d "):format(columns or 100, rows or 30) ..
    quote(command .. "; echo status=$?; exec cat"))
  return self
end

--- The lines on the screen.
function terminal:screen() return run(self.tmux .. "capture-pane -p") end

--- Text as if it were typed, letter by letter.
function terminal:type(text) run(self.tmux .. "send-keys -l " .. quote(text)) end
--- Keys by tmux's names: Enter, Tab, Up, C-c ...
function terminal:keys(...) run(self.tmux .. "send-keys " .. table.concat({ ... }, " ")) end
function terminal:line(text)
  self:type(text)
  self:keys("Enter")
end

function terminal:resize(columns, rows)
  run(self.tmux .. ("resize-window -x %d -y %d"):format(columns, rows))
end

--- Waits until the pattern is on the screen; the screen.
function terminal:wait_for(pattern, seconds)
  local screen
  local ok = pcall(process.wait_for, pattern, seconds or 15, function()
    screen = self:screen()
    return screen:find(pattern)
  end)
  if not ok then error("waited for " .. pattern .. "; the screen:\n" .. screen, 2) end
  return screen
end

function terminal:close()
  run(self.tmux .. "kill-server")
  process.remove(self.folder)
end

return terminal

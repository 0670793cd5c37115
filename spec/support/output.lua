-- busted's terminal output, but what is skipped is named loudly, and the counts go to $REPORT.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  local subscribe = handler.subscribe

  function handler:subscribe(...)
    subscribe(self, ...)
    busted.subscribe({ "exit" }, function()
      for _, pending in ipairs(self.pendings) do
        print("SKIPPED: " .. tostring(pending.name) .. " (" .. tostring(pending.message) .. ")")
      end
      local path = os.getenv("REPORT")
      if path then
        local file = assert(io.open(path, "w"))
        file:write(("%d %d %d"):format(self.successesCount, self.failuresCount + self.errorsCount,
          self.pendingsCount))
        file:close()
      end
      return nil, true
    end)
  end

  return handler
end

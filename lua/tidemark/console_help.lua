-- What a console has beside `tide`, in words: the one source of help() and of the list in
-- docs/console.md (`make docs`).

local format, rep = string.format, string.rep

local help = {}

--- { name, arguments, one line, more of it } of each, in the order of help().
help.commands = {
  { "query", "promql [, options]", "an answer to PromQL; options: time, or from, to and step",
    [[Times are seconds since 1970, `step` is a duration such as "30s". A range query gives series
with `times` and `values`.]] },
  { "plot", "promql [, range]", 'a chart of the last "1h" or another range',
    [[Up to eight series in the legend; what is not finite leaves a gap.]] },
  { "series", "selector", "series with their fingerprints, first and last times" },
  { "samples", "selector [, range | from, to]",
    'stored samples of the last "5m", another range, or between two times' },
  { "chunks", "fp | selector [, options]", "chunks of series, one by one: times, encoding, place",
    [[`fp` has 16 hex digits, as series() tells them. `bytes` of 1,024 mean something; `place` is
"file", "file and memory", "memory" (complete, not in the file yet) or "head" (takes samples);
`offset` is that of the record in the series file; a chunk that cannot be read as a whole says
its `problem`, and how many of its samples can. Options: `from`, `to` (seconds since 1970),
`limit` (1000 rows).]] },
  { "top", "what [, limit]", "metric_names, label_names, label_bytes or label_pairs by size" },
  { "stats", "", "numbers of the store" },
  { "queries", "", "queries under way" },
  { "slow", "", "slow queries that have ended" },
  { "kill", "id", "stops a query" },
  { "rules", "", "rules in force, with calls, time and errors" },
  { "trace", "labels [, options]", "what every rule says of a series",
    [[`labels` as in `trace '{__name__="up", job="web"}'`; the series need not exist. Admission is
asked first, then retention and reads with the labels that it leaves. Options: `user` and
`tenant`, as if they would read. Nothing is counted.]] },
  { "plan", "[selector]", "what the next pass of retention would drop, by rule",
    [[With a selector: who decides for each series that matches, and since when its samples stay.
Nothing is dropped.]] },
  { "confirm", "[id]", "what deletions are held back, and why; with its id, they go on",
    [[`confirm()` lists what is held. `confirm "clock"` says that the clock is right as it is.]] },
  { "reload", "", "reads the scripts and the configuration again" },
  { "config", "[part]", "the configuration in force, and where each value came from",
    [[With a part of a key's name, only such keys. Passwords and tokens are not shown. `help
"storage.retention"` explains a key.]] },
  { "watch", "promql | function [, every]", 'shows it again every "2s" until Ctrl-C' },
  { "checkpoint", "", "writes a checkpoint now" },
  { "maintain", "[id]", "one full pass of retention and archiving now; asks before it drops",
    [[When the pass would drop something, it is planned first and nothing happens; the id that the
plan comes with, given to a second `maintain(id)`, does it, unless something has changed
since.]] },
  { "persist", "", "all complete chunks to disk now" },
  { "loglevel", "[name]", "the level of the log; with a name, changes it" },
  { "delete", "selector [, options]", "what would go, with an id; with that id, it goes",
    [[Options: `from`, `to` (seconds since 1970; both inclusive), `id` with the `from` and `to` of
its plan. What goes lies in the trash first.]] },
  { "trash", "", "what was deleted and can still come back, the oldest first" },
  { "undelete", "id", "brings a delete back from the trash" },
  { "quarantined", "[fp]", "damaged files that were put aside; with a fingerprint, its chunks",
    [[The chunks of a damaged file, one by one: what of each can be read, and where it breaks.]] },
  { "help", "[what]", "explains a command, a function of tide, or a key of the configuration" },
}

local function call_of(command) return command[1] .. "(" .. command[2] .. ")" end

--- The list of commands, as lines for people.
function help.lines()
  local lines, width = {}, 0
  for _, command in ipairs(help.commands) do width = math.max(width, #call_of(command)) end
  for i, command in ipairs(help.commands) do
    local call = call_of(command)
    lines[i] = format("  %s%s  %s", call, rep(" ", width - #call), command[3])
  end
  return lines
end

--- One command in full; nil: there is none of this name.
function help.command(name)
  for _, command in ipairs(help.commands) do
    if command[1] == name then
      return call_of(command) .. ": " .. command[3] .. (command[4] and "\n" .. command[4] or "")
    end
  end
end

local BEGIN, END = "<!-- commands: make docs -->\n", "<!-- end of the commands -->"

-- The list for docs/console.md.
local function document()
  local lines = { "| command | |", "|---|---|" }
  for _, command in ipairs(help.commands) do
    local more = command[4] and ". " .. string.gsub(command[4], "\n", " ") or ""
    lines[#lines + 1] = format("| `%s` | %s |", (string.gsub(call_of(command), "|", "\\|")),
      command[3] .. more)
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The text of docs/console.md with the list as it is now.
function help.into(text)
  local _, from = string.find(text, BEGIN, 1, true)
  local to = string.find(text, END, 1, true)
  return string.sub(text, 1, from) .. document() .. string.sub(text, to)
end

--- For `make docs`, not for servers, which have no io.
function help.write(path)
  local page = assert(io.open(path))
  local text = help.into(page:read("*a"))
  page:close()
  page = assert(io.open(path, "w"))
  page:write(text)
  page:close()
end

return help

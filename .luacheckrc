std = "luajit"
max_line_length = 100
ignore = { "212/_.*" }
files["lua"] = { read_globals = { "native" } } -- C functions (core/script)
files["spec"] = { std = "luajit+busted" }
files["scripts"] = { std = "lua51", read_globals = { "tide" } }
files["scripts/*_test.lua"] = { std = "lua51", read_globals = { "tide", "test", "scripts",
  "retention", "push", "samples", "feed", "advance", "query", "values", "series", "shape", "alerts",
  "told", "logged", "events", "rule_errors", "print", "expect" } } -- lua/tidemark/trial.lua

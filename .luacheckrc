std = "luajit"
max_line_length = 100
ignore = { "212/_.*" }
files["lua"] = { read_globals = { "native" } } -- C functions (core/script)
files["spec"] = { std = "luajit+busted" }
files["scripts"] = { std = "lua51", read_globals = { "tide" } }
